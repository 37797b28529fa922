// SPDX-License-Identifier: GPL-2.0
/* The smallest module of somebody else's: its parameter shows that it was loaded. */

#include <linux/module.h>

static int answer = 42;
module_param(answer, int, 0444);
MODULE_PARM_DESC(answer, "What a test reads back");

static int __init trivial_init(void)
{
	pr_info("trivial: loaded\n");
	return 0;
}

static void __exit trivial_exit(void)
{
}

module_init(trivial_init);
module_exit(trivial_exit);

MODULE_DESCRIPTION("A module for the lab's own tests");
MODULE_LICENSE("GPL");
