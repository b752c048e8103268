// SPDX-License-Identifier: GPL-2.0
/* Wakes the system some time after a number of milliseconds was written to /sys/module/wake_timer/parameters/after_ms. */
#include <linux/jiffies.h>
#include <linux/module.h>
#include <linux/suspend.h>
#include <linux/timer.h>

static void wake(struct timer_list *unused)
{
	pm_system_wakeup();
}
static DEFINE_TIMER(wake_timer, wake);

static unsigned int after_ms;

static int set_after(const char *text, const struct kernel_param *parameter)
{
	int error = param_set_uint(text, parameter);

	if (!error)
		mod_timer(&wake_timer, jiffies + msecs_to_jiffies(after_ms));
	return error;
}

static const struct kernel_param_ops after_ops = { .set = set_after, .get = param_get_uint };
module_param_cb(after_ms, &after_ops, &after_ms, 0644);

static int __init wake_timer_init(void)
{
	return 0;
}
static void __exit wake_timer_exit(void)
{
	del_timer_sync(&wake_timer);
}
module_init(wake_timer_init);
module_exit(wake_timer_exit);

MODULE_DESCRIPTION("Wakes the system after a while");
MODULE_LICENSE("GPL");
