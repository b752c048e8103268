// SPDX-License-Identifier: GPL-2.0
/*
 * What the suspend tests need of the kernel, in /sys/module/suspend_tests/parameters:
 *   wake_ms   the system is woken so many milliseconds after all its devices are suspended; 0 for not at all
 *   abort_ms  the system is woken so many milliseconds after this was written, whatever it does then
 *   board_ms  a write of board takes effect so many milliseconds later
 *   board     goes to the board's test device, which controls the devices' backends (vmm --test-device)
 *   message   the kernel prints a message when all devices are suspended
 */
#include <linux/io.h>
#include <linux/jiffies.h>
#include <linux/module.h>
#include <linux/platform_device.h>
#include <linux/suspend.h>
#include <linux/timer.h>

#define TEST_DEVICE_PORT 0x608

static void wake(struct timer_list *unused)
{
	pm_system_wakeup();
}
static DEFINE_TIMER(wake_timer, wake);

static unsigned int wake_ms;
module_param(wake_ms, uint, 0644);

static bool message;
module_param(message, bool, 0644);

/* A wake-up that comes before all devices are suspended aborts the suspend, so the clock starts after all of them. */
static int start_clock(struct device *dev)
{
	if (message)
		pr_err("suspend_tests: all devices are suspended\n");
	if (wake_ms)
		mod_timer(&wake_timer, jiffies + msecs_to_jiffies(wake_ms));
	return 0;
}

static const struct dev_pm_ops clock_ops = { .suspend_noirq = start_clock };

static struct platform_driver clock_driver = {
	.driver = { .name = "suspend-tests-clock", .pm = &clock_ops },
};
static struct platform_device *clock;

static unsigned int abort_ms;

static int set_abort(const char *text, const struct kernel_param *parameter)
{
	int error = param_set_uint(text, parameter);

	if (!error)
		mod_timer(&wake_timer, jiffies + msecs_to_jiffies(abort_ms));
	return error;
}

static const struct kernel_param_ops abort_ops = { .set = set_abort, .get = param_get_uint };
module_param_cb(abort_ms, &abort_ops, &abort_ms, 0644);

static unsigned int board;

static void write_board(struct timer_list *unused)
{
	outl(board, TEST_DEVICE_PORT);
}
static DEFINE_TIMER(board_timer, write_board);

static unsigned int board_ms;
module_param(board_ms, uint, 0644);

static int set_board(const char *text, const struct kernel_param *parameter)
{
	int error = param_set_uint(text, parameter);

	if (error)
		return error;
	if (board_ms)
		mod_timer(&board_timer, jiffies + msecs_to_jiffies(board_ms));
	else
		write_board(NULL);
	return 0;
}

static const struct kernel_param_ops board_ops = { .set = set_board, .get = param_get_uint };
module_param_cb(board, &board_ops, &board, 0644);

static int __init suspend_tests_init(void)
{
	int error = platform_driver_register(&clock_driver);

	if (error)
		return error;
	clock = platform_device_register_simple("suspend-tests-clock", PLATFORM_DEVID_NONE, NULL, 0);
	if (IS_ERR(clock)) {
		platform_driver_unregister(&clock_driver);
		return PTR_ERR(clock);
	}
	return 0;
}

static void __exit suspend_tests_exit(void)
{
	platform_device_unregister(clock);
	platform_driver_unregister(&clock_driver);
	del_timer_sync(&wake_timer);
	del_timer_sync(&board_timer);
}

module_init(suspend_tests_init);
module_exit(suspend_tests_exit);

MODULE_DESCRIPTION("Wakes the system after a while, and controls the board");
MODULE_LICENSE("GPL");
