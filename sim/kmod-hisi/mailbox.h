/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Lets the unmodified qm.c of Linux 7.3 reach its device's mailbox on a machine that is not arm64.
 *
 * The mailbox has 128 bits, and qm.c moves them by inline assembly of arm64: qm_mb_read() and qm_mb_write() are empty
 * elsewhere, so a driver that COMPILE_TEST built on x86 finds the mailbox idle for ever, and no context ever reaches the
 * device. This header is forced in front of qm.c (-include). It
 *
 *  1. includes what qm.c includes, so that no header is read after what follows;
 *  2. claims arm64, so that the bodies of both functions are compiled;
 *  3. replaces the operands of `asm volatile(...)`, which by now stands in these two functions alone, by a call of the
 *     accessors below. They make two accesses of 64 bits; the second one is what starts a command (offset 0xc).
 *
 * Which of the two functions it is, the type of its local `fun_base` says. A kernel whose statements are others does not
 * build: the text is compared, and Kbuild counts them.
 */

#include <asm/page.h>
#include <linux/acpi.h>
#include <linux/bitmap.h>
#include <linux/dma-mapping.h>
#include <linux/idr.h>
#include <linux/io.h>
#include <linux/irqreturn.h>
#include <linux/log2.h>
#include <linux/pm_runtime.h>
#include <linux/seq_file.h>
#include <linux/slab.h>
#include <linux/uacce.h>
#include <linux/uaccess.h>
#include <uapi/misc/uacce/hisi_qm.h>
#include <linux/hisi_acc_qm.h>

#ifndef CONFIG_64BIT
#error "the mailbox is reached by accesses of 64 bits"
#endif

#define MAILBOX_READ                                                           \
	"\"ldp %0, %1, %3\\n\" \"stp %0, %1, %2\\n\" "                         \
	": \"=&r\" (tmp0), \"=&r\" (tmp1), \"+Q\" (mailbox) "                  \
	": \"Q\" (*((char __iomem *)fun_base)) : \"memory\""
#define MAILBOX_WRITE                                                          \
	"\"ldp %0, %1, %3\\n\" \"dmb oshst\\n\" \"stp %0, %1, %2\\n\" "        \
	": \"=&r\" (tmp0), \"=&r\" (tmp1), \"+Q\" (*((char __iomem *)fun_base)) "      \
	": \"Q\" (*((char *)src)) : \"memory\""

static __always_inline void mailbox_read(const void __iomem *device, void *words)
{
	u64 *to = words;

	to[0] = readq(device);
	to[1] = readq(device + 8);
}

static __always_inline void mailbox_write(void __iomem *device, void *words)
{
	const u64 *from = words;

	/* Orders what the command points to before the command, as the barrier of the original does. */
	writeq(from[0], device);
	writeq(from[1], device + 8);
}

/* Each function looks up the other one's local, and uses its own. */
static const void *src __maybe_unused;
static u64 mailbox[2] __maybe_unused;

#define mailbox_way(read, write) _Generic(fun_base, const void __iomem *: (read), void __iomem *: (write))

#define CONFIG_ARM64 1
#define volatile(...)                                                                     \
	("" : : : "memory");                                                              \
	BUILD_BUG_ON_MSG(__builtin_strcmp(#__VA_ARGS__, mailbox_way(MAILBOX_READ, MAILBOX_WRITE)), \
			 "this kernel's qm.c talks to the mailbox in another way than mailbox.h knows"); \
	tmp0 = tmp1 = 0;                                                                  \
	(void)tmp0;                                                                       \
	(void)tmp1;                                                                       \
	mailbox_way(mailbox_read, mailbox_write)(fun_base, mailbox_way((void *)&mailbox, (void *)src))
