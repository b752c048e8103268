// SPDX-License-Identifier: GPL-2.0
/*
 * What the suspend tests need of the kernel, in /sys/module/suspend_tests/parameters:
 *   wake_ms   the system is woken so many milliseconds after all its devices are suspended; 0 for not at all
 *   abort_ms  and so many after this was written, wherever it is then
 *   board     goes to the board's test device, which steers the devices' backends (vmm --test-device)
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

/* A wake-up that comes before the system has begun to listen is lost, so the clock starts behind everything else. */
static int start_clock(struct device *dev)
{
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

static int set_board(const char *text, const struct kernel_param *parameter)
{
	int error = param_set_uint(text, parameter);

	if (!error)
		outl(board, TEST_DEVICE_PORT);
	return error;
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
}

module_init(suspend_tests_init);
module_exit(suspend_tests_exit);

MODULE_DESCRIPTION("Wakes the system after a while, and steers the board");
MODULE_LICENSE("GPL");
