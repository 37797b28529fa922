// SPDX-License-Identifier: GPL-2.0
/*
 * Warp engines through uacce: every queue belongs to one process and works on
 * that process's own addresses (shared virtual addressing).
 *
 * The engine's interface is drivers/warp-abi/SPECIFICATION.md; sections in
 * comments are those. uacce does the rest: it binds the process at open(),
 * keeps the PASID, and calls the functions below: mmap's and poll's under its
 * mutex of the queue, sysfs's under none, all others under its mutex of the
 * device. On removal it takes both before it puts a queue.
 */

#include <linux/atomic.h>
#include <linux/bitmap.h>
#include <linux/dma-mapping.h>
#include <linux/err.h>
#include <linux/interrupt.h>
#include <linux/io.h>
#include <linux/iopoll.h>
#include <linux/jiffies.h>
#include <linux/list.h>
#include <linux/mm.h>
#include <linux/module.h>
#include <linux/mutex.h>
#include <linux/pci.h>
#include <linux/sched/mm.h>
#include <linux/slab.h>
#include <linux/spinlock.h>
#include <linux/string_choices.h>
#include <linux/sysfs.h>
#include <linux/uacce.h>

#include "warp_abi.h"

#if !IS_ENABLED(CONFIG_64BIT)
#error "Warp registers are 64 bits and must be accessed as such"
#endif

/* A user page is mapped whole, so a larger page would show one user another's. */
static_assert(PAGE_SIZE == WARP_PAGE_SIZE);

/* How long the engine may take to let go of a queue, and how often to look. */
#define WARP_QUIET_US		5000000
#define WARP_LOOK_US		20

/* How long the system may take to answer page requests, before it is said. */
#define WARP_ANSWER_US		60000000

/* The window of isolate_strategy. */
#define WARP_ISOLATE_WINDOW	(3600UL * HZ)

struct warp_engine;

struct warp_queue {
	struct warp_engine *engine;
	/* Who opened it; only compared, never entered. */
	struct mm_struct *owner;
	/* Between poll and the interrupt: something to look at. */
	atomic_t signalled;
	/* Protects user. */
	spinlock_t lock;
	/* Whom the interrupt wakes; NULL unless started. */
	struct uacce_queue *user;
	unsigned int number;
};

struct warp_error {
	struct list_head list;
	unsigned long when;
};

struct warp_engine {
	struct pci_dev *pdev;
	struct uacce_device *uacce;
	void __iomem *bar;
	/* Queues that are open. Written under uacce's mutex. */
	DECLARE_BITMAP(taken, WARP_CONTROL_MAX_QUEUES);

	/* Protects what follows. */
	struct mutex isolation;
	struct list_head errors;
	u32 threshold;
	bool isolated;
	/* It did not let go of a queue, and was taken off the bus. */
	bool dead;

	unsigned int count;
	struct warp_queue queues[] __counted_by(count);
};

/* Names as the user's side has them (uaccel_queue::Algorithm and Operation). */
struct warp_name {
	unsigned int bit;
	const char *name;
};

static const struct warp_name warp_operations[] = {
	{ WARP_OP_COPY, "copy" },
	{ WARP_OP_FILL, "fill" },
	{ WARP_OP_COMPARE, "compare" },
	{ WARP_OP_CRC32C, "crc-32c" },
	{ WARP_OP_CRC32, "crc-32" },
};

static const struct warp_name warp_algorithms[] = {
	{ WARP_ALG_DEFLATE, "deflate" },
	{ WARP_ALG_ZLIB, "zlib" },
	{ WARP_ALG_GZIP, "gzip" },
	{ WARP_ALG_LZ4_BLOCK, "lz4" },
	{ WARP_ALG_ZSTD, "zstd" },
	{ WARP_ALG_AES_128_GCM, "aes-128-gcm" },
	{ WARP_ALG_AES_256_GCM, "aes-256-gcm" },
	{ WARP_ALG_CHACHA20_POLY1305, "chacha20-poly1305" },
	{ WARP_ALG_AES_128_CBC, "aes-128-cbc" },
	{ WARP_ALG_AES_256_CBC, "aes-256-cbc" },
	{ WARP_ALG_AES_128_CTR, "aes-128-ctr" },
	{ WARP_ALG_AES_256_CTR, "aes-256-ctr" },
	{ WARP_ALG_AES_128_XTS, "aes-128-xts" },
	{ WARP_ALG_AES_256_XTS, "aes-256-xts" },
	{ WARP_ALG_SHA_256, "sha-256" },
	{ WARP_ALG_SHA_512, "sha-512" },
	{ WARP_ALG_HMAC_SHA_256, "hmac-sha-256" },
};

static void __iomem *warp_register(struct warp_engine *engine, unsigned int queue,
				   unsigned int offset)
{
	return engine->bar + offset + queue * WARP_CONTROL_STRIDE;
}

static unsigned int warp_state(u64 word)
{
	return word & 0xff;
}

static u32 warp_reason(u64 word)
{
	return word >> 8;
}

/* Isolation */

/*
 * Counts an error of the engine's, and isolates it when there were as many
 * within an hour as its administrator will bear.
 */
static void warp_note_error(struct warp_engine *engine, unsigned int queue, u32 reason)
{
	struct warp_error *error, *next;
	unsigned long now = jiffies;
	u32 count = 0;

	pci_err(engine->pdev, "queue %u failed, reason %u\n", queue, reason);

	mutex_lock(&engine->isolation);
	list_for_each_entry_safe(error, next, &engine->errors, list) {
		if (time_after(now, error->when + WARP_ISOLATE_WINDOW)) {
			list_del(&error->list);
			kfree(error);
		} else {
			count++;
		}
	}
	/* An error that there is no memory to remember is still counted now. */
	count++;
	error = kmalloc(sizeof(*error), GFP_KERNEL);
	if (error) {
		error->when = now;
		list_add(&error->list, &engine->errors);
	}
	if (engine->threshold && count >= engine->threshold && !engine->isolated) {
		engine->isolated = true;
		pci_err(engine->pdev, "isolated: %u errors within an hour\n", count);
	}
	mutex_unlock(&engine->isolation);
}

static void warp_forget_errors(void *data)
{
	struct warp_engine *engine = data;
	struct warp_error *error, *next;

	list_for_each_entry_safe(error, next, &engine->errors, list) {
		list_del(&error->list);
		kfree(error);
	}
}

static enum uacce_dev_state warp_get_isolate_state(struct uacce_device *uacce)
{
	struct warp_engine *engine = uacce->priv;

	return READ_ONCE(engine->isolated) ? UACCE_DEV_ISOLATE : UACCE_DEV_NORMAL;
}

static int warp_isolate_threshold_write(struct uacce_device *uacce, u32 threshold)
{
	struct warp_engine *engine = uacce->priv;
	int ret = 0;

	mutex_lock(&engine->isolation);
	/* As with other uacce devices, only loading the driver anew ends isolation. */
	if (engine->isolated)
		ret = -EPERM;
	else
		engine->threshold = threshold;
	mutex_unlock(&engine->isolation);
	return ret;
}

static u32 warp_isolate_threshold_read(struct uacce_device *uacce)
{
	struct warp_engine *engine = uacce->priv;

	return READ_ONCE(engine->threshold);
}

/* Queues */

/*
 * Takes a queue away from its address space and returns when the engine touches
 * nothing of it any more, and asks for no page. What uacce tells its user, and
 * the address space's release, rest on that, so an engine that does not obey
 * loses the bus.
 *
 * Answers are the system's to give. The IOMMU's driver waits for them itself
 * when the PASID is detached, but not if the process has ended by then, and
 * what answers them would use what detaching frees.
 */
static void warp_revoke(struct warp_engine *engine, unsigned int queue)
{
	void __iomem *assign = warp_register(engine, queue, WARP_CONTROL_REG_ASSIGN);
	u64 value;

	if (READ_ONCE(engine->dead))
		return;

	writeq(0, assign);
	if (!readq_poll_timeout(assign, value, !(value & (WARP_ASSIGNED | WARP_ASSIGN_BUSY)),
				WARP_LOOK_US, WARP_QUIET_US)) {
		if (readq_poll_timeout(assign, value, !(value & WARP_ASSIGN_AWAITS_PAGES),
				       WARP_LOOK_US, WARP_ANSWER_US))
			pci_err(engine->pdev, "queue %u: page requests are not answered\n", queue);
		return;
	}

	pci_err(engine->pdev, "queue %u is not given up (%#llx); engine taken off the bus\n",
		queue, value);
	pci_clear_master(engine->pdev);
	mutex_lock(&engine->isolation);
	WRITE_ONCE(engine->dead, true);
	engine->isolated = true;
	mutex_unlock(&engine->isolation);
}

static int warp_get_available_instances(struct uacce_device *uacce)
{
	struct warp_engine *engine = uacce->priv;

	return engine->count - bitmap_weight(engine->taken, engine->count);
}

static int warp_get_queue(struct uacce_device *uacce, unsigned long pasid, struct uacce_queue *q)
{
	struct warp_engine *engine = uacce->priv;
	struct warp_queue *queue;
	unsigned int number;

	if (READ_ONCE(engine->isolated))
		return -ENODEV;

	number = find_first_zero_bit(engine->taken, engine->count);
	if (number >= engine->count)
		return -EBUSY;

	__set_bit(number, engine->taken);
	queue = &engine->queues[number];
	/* The structure, not the address space: so that nobody else has this address. */
	mmgrab(current->mm);
	queue->owner = current->mm;
	q->priv = queue;
	return 0;
}

static void warp_put_queue(struct uacce_queue *q)
{
	struct warp_queue *queue = q->priv;

	mmdrop(queue->owner);
	queue->owner = NULL;
	__clear_bit(queue->number, queue->engine->taken);
}

static int warp_start_queue(struct uacce_queue *q)
{
	struct warp_queue *queue = q->priv;
	struct warp_engine *engine = queue->engine;
	void __iomem *assign = warp_register(engine, queue->number, WARP_CONTROL_REG_ASSIGN);
	u64 wanted = WARP_ASSIGNED | q->pasid;

	/* A child has the descriptor, too, but the queue works on its parent's memory. */
	if (current->mm != queue->owner)
		return -EPERM;
	if (READ_ONCE(engine->dead))
		return -EIO;

	atomic_set(&queue->signalled, 0);
	spin_lock_irq(&queue->lock);
	queue->user = q;
	spin_unlock_irq(&queue->lock);

	writeq(wanted, assign);
	if (readq(assign) == wanted)
		return 0;

	warp_revoke(engine, queue->number);
	spin_lock_irq(&queue->lock);
	queue->user = NULL;
	spin_unlock_irq(&queue->lock);
	return -EIO;
}

/*
 * Also called when the file is closed by a process that has ended: its address
 * space was gone before, and what was in flight has met faults.
 */
static void warp_stop_queue(struct uacce_queue *q)
{
	struct warp_queue *queue = q->priv;
	struct warp_engine *engine = queue->engine;
	u64 state;
	u32 reason;

	state = readq(warp_register(engine, queue->number, WARP_CONTROL_REG_QUEUE_STATE));
	warp_revoke(engine, queue->number);

	/*
	 * Under the lock, so that the handler is not at q->wait when uacce frees it.
	 * A signal still on its way finds nobody, or wakes the queue's next user
	 * once too often, which users bear.
	 */
	spin_lock_irq(&queue->lock);
	queue->user = NULL;
	spin_unlock_irq(&queue->lock);

	/*
	 * A thread that sleeps on it is to look again. Of several the first takes
	 * the signal, as any signal; the others look when their time is up.
	 */
	atomic_set(&queue->signalled, 1);
	wake_up_interruptible(&q->wait);

	if (warp_state(state) != WARP_STATE_FAILED)
		return;
	reason = warp_reason(state);
	switch (reason) {
	/* These are its user's doing (6.3). */
	case WARP_REASON_GEOMETRY:
	case WARP_REASON_RING_BASE:
	case WARP_REASON_RING_FAULT:
		break;
	default:
		warp_note_error(engine, queue->number, reason);
	}
}

/* Says yes once per signal, however many came: poll is a reason to look, no count. */
static int warp_is_q_updated(struct uacce_queue *q)
{
	struct warp_queue *queue = q->priv;

	return atomic_xchg(&queue->signalled, 0);
}

static int warp_mmap(struct uacce_queue *q, struct vm_area_struct *vma,
		     struct uacce_qfile_region *region)
{
	struct warp_queue *queue = q->priv;
	unsigned long pfn;

	if (region->type != UACCE_QFRT_MMIO || vma->vm_end - vma->vm_start != PAGE_SIZE)
		return -EINVAL;
	if (!(vma->vm_flags & VM_SHARED))
		return -EINVAL;
	/* As in warp_start_queue(). */
	if (vma->vm_mm != queue->owner)
		return -EPERM;

	pfn = PHYS_PFN(pci_resource_start(queue->engine->pdev, WARP_PCI_PAGES_BAR)) +
	      1 + queue->number;
	vma->vm_page_prot = pgprot_noncached(vma->vm_page_prot);
	return io_remap_pfn_range(vma, vma->vm_start, pfn, PAGE_SIZE, vma->vm_page_prot);
}

static const struct uacce_ops warp_ops = {
	.get_available_instances = warp_get_available_instances,
	.get_queue = warp_get_queue,
	.put_queue = warp_put_queue,
	.start_queue = warp_start_queue,
	.stop_queue = warp_stop_queue,
	.is_q_updated = warp_is_q_updated,
	.mmap = warp_mmap,
	.get_isolate_state = warp_get_isolate_state,
	.isolate_err_threshold_write = warp_isolate_threshold_write,
	.isolate_err_threshold_read = warp_isolate_threshold_read,
};

static irqreturn_t warp_signal(int irq, void *data)
{
	struct warp_queue *queue = data;

	spin_lock(&queue->lock);
	if (queue->user) {
		/* Before the wake-up: who wakes finds it. */
		atomic_set(&queue->signalled, 1);
		wake_up_interruptible(&queue->user->wait);
	}
	spin_unlock(&queue->lock);
	return IRQ_HANDLED;
}

/* Counters of the control page */

#define WARP_COUNTER(_name, _offset)						\
static ssize_t _name##_show(struct device *dev, struct device_attribute *attr,	\
			    char *buf)						\
{										\
	struct warp_engine *engine = dev_get_drvdata(dev);			\
										\
	return sysfs_emit(buf, "%llu\n", readq(engine->bar + (_offset)));	\
}										\
static DEVICE_ATTR_RO(_name)

WARP_COUNTER(translations, WARP_CONTROL_REG_TRANSLATIONS);
WARP_COUNTER(page_requests, WARP_CONTROL_REG_PAGE_REQUESTS);
WARP_COUNTER(page_requests_granted, WARP_CONTROL_REG_GRANTED);
WARP_COUNTER(page_requests_refused, WARP_CONTROL_REG_REFUSED);
WARP_COUNTER(invalidations, WARP_CONTROL_REG_INVALIDATIONS);

static struct attribute *warp_attrs[] = {
	&dev_attr_translations.attr,
	&dev_attr_page_requests.attr,
	&dev_attr_page_requests_granted.attr,
	&dev_attr_page_requests_refused.attr,
	&dev_attr_invalidations.attr,
	NULL
};
ATTRIBUTE_GROUPS(warp);

/* Probe and remove */

static int warp_reset(struct warp_engine *engine)
{
	void __iomem *reset = engine->bar + WARP_CONTROL_REG_RESET;
	u64 value;

	writeq(1, reset);
	return readq_poll_timeout(reset, value, !value, WARP_LOOK_US, WARP_QUIET_US);
}

static size_t warp_append(char *text, size_t size, size_t used, const char *name)
{
	return used + scnprintf(text + used, size - used, "%s%s", used ? "\n" : "", name);
}

/*
 * What uacce shows as "algorithms", from the registers of a user page. They read
 * as 0 unless the queue is assigned, so queue 0 is for this moment: to PASID 0,
 * which no process has, and without a ring it touches no memory.
 */
static const char *warp_describe(struct warp_engine *engine)
{
	void __iomem *assign = warp_register(engine, 0, WARP_CONTROL_REG_ASSIGN);
	void __iomem *page = engine->bar + WARP_CONTROL_SIZE;
	u64 operations, algorithms[2];
	const size_t size = 512;
	size_t used = 0;
	char *text;
	int i;

	text = devm_kzalloc(&engine->pdev->dev, size, GFP_KERNEL);
	if (!text)
		return ERR_PTR(-ENOMEM);

	/*
	 * Not to be had where the function has no PASIDs, as without an IOMMU:
	 * then nothing is listed here, and open() says why nothing works.
	 */
	writeq(WARP_ASSIGNED, assign);
	operations = readq(page + WARP_REG_OPERATIONS);
	for (i = 0; i < ARRAY_SIZE(algorithms); i++)
		algorithms[i] = readq(page + WARP_REG_FORWARD + 8 * i) |
				readq(page + WARP_REG_INVERSE + 8 * i);
	warp_revoke(engine, 0);
	if (engine->dead)
		return ERR_PTR(-EIO);

	for (i = 0; i < ARRAY_SIZE(warp_operations); i++)
		if (operations & BIT_ULL(warp_operations[i].bit))
			used = warp_append(text, size, used, warp_operations[i].name);
	for (i = 0; i < ARRAY_SIZE(warp_algorithms); i++) {
		unsigned int bit = warp_algorithms[i].bit;

		if (algorithms[bit / 64] & BIT_ULL(bit % 64))
			used = warp_append(text, size, used, warp_algorithms[i].name);
	}
	return text;
}

static int warp_probe(struct pci_dev *pdev, const struct pci_device_id *id)
{
	struct uacce_interface interface = {
		.name = "warp",
		.flags = UACCE_DEV_SVA,
		.ops = &warp_ops,
	};
	struct device *dev = &pdev->dev;
	struct warp_engine *engine;
	void __iomem *bar;
	unsigned int count, i;
	u64 ident;
	int ret;

	ret = pcim_enable_device(pdev);
	if (ret)
		return dev_err_probe(dev, ret, "cannot be enabled\n");
	bar = pcim_iomap_region(pdev, WARP_PCI_PAGES_BAR, KBUILD_MODNAME);
	if (IS_ERR(bar))
		return dev_err_probe(dev, PTR_ERR(bar), "registers cannot be mapped\n");

	ident = readq(bar + WARP_CONTROL_REG_IDENT);
	if (ident != WARP_CONTROL_IDENT)
		return dev_err_probe(dev, -ENODEV, "control page %#llx, not %#llx\n", ident,
				     WARP_CONTROL_IDENT);
	count = readq(bar + WARP_CONTROL_REG_QUEUES) & 0xffff;
	if (!count || count > WARP_CONTROL_MAX_QUEUES ||
	    pci_resource_len(pdev, WARP_PCI_PAGES_BAR) < (count + 1) * PAGE_SIZE)
		return dev_err_probe(dev, -ENODEV, "%u queues are impossible\n", count);

	engine = devm_kzalloc(dev, struct_size(engine, queues, count), GFP_KERNEL);
	if (!engine)
		return -ENOMEM;
	engine->count = count;
	engine->pdev = pdev;
	engine->bar = bar;
	INIT_LIST_HEAD(&engine->errors);
	ret = devm_mutex_init(dev, &engine->isolation);
	if (ret)
		return ret;
	ret = devm_add_action_or_reset(dev, warp_forget_errors, engine);
	if (ret)
		return ret;
	pci_set_drvdata(pdev, engine);

	ret = dma_set_mask_and_coherent(dev, DMA_BIT_MASK(64));
	if (ret)
		return dev_err_probe(dev, ret, "no 64-bit addresses\n");
	/* What an earlier driver left behind must not touch memory. */
	ret = warp_reset(engine);
	if (ret)
		return dev_err_probe(dev, ret, "does not reset\n");

	/* A vector for each queue, or fewer queues. */
	ret = pci_alloc_irq_vectors(pdev, 1, count, PCI_IRQ_MSIX);
	if (ret < 0)
		return dev_err_probe(dev, ret, "no interrupts\n");
	engine->count = count = ret;
	for (i = 0; i < count; i++) {
		struct warp_queue *queue = &engine->queues[i];

		queue->engine = engine;
		queue->number = i;
		spin_lock_init(&queue->lock);
		ret = devm_request_irq(dev, pci_irq_vector(pdev, i), warp_signal, 0,
				       KBUILD_MODNAME, queue);
		if (ret)
			return dev_err_probe(dev, ret, "interrupt of queue %u\n", i);
	}
	pci_set_master(pdev);

	engine->uacce = uacce_alloc(dev, &interface);
	if (IS_ERR(engine->uacce))
		return dev_err_probe(dev, PTR_ERR(engine->uacce), "no uacce device\n");
	engine->uacce->priv = engine;
	engine->uacce->api_ver = WARP_INTERFACE;
	engine->uacce->qf_pg_num[UACCE_QFRT_MMIO] = 1;
	engine->uacce->algs = warp_describe(engine);
	ret = PTR_ERR_OR_ZERO(engine->uacce->algs);
	if (!ret)
		ret = uacce_register(engine->uacce);
	if (ret) {
		uacce_remove(engine->uacce);
		return dev_err_probe(dev, ret, "not registered with uacce\n");
	}

	pci_info(pdev, "%u queues as %s, ATS %s\n", count, dev_name(&engine->uacce->dev),
		 str_on_off(pdev->ats_enabled));
	return 0;
}

static void warp_remove(struct pci_dev *pdev)
{
	struct warp_engine *engine = pci_get_drvdata(pdev);

	/* Stops every queue and takes the user pages out of their users' memory. */
	uacce_remove(engine->uacce);
	if (!engine->dead && warp_reset(engine))
		pci_err(pdev, "does not reset\n");
	pci_clear_master(pdev);
}

static const struct pci_device_id warp_ids[] = {
	{ PCI_DEVICE(WARP_PCI_VENDOR, WARP_PCI_DEVICE) },
	{ }
};
MODULE_DEVICE_TABLE(pci, warp_ids);

static struct pci_driver warp_driver = {
	.name = KBUILD_MODNAME,
	.id_table = warp_ids,
	.probe = warp_probe,
	.remove = warp_remove,
	.dev_groups = warp_groups,
};
module_pci_driver(warp_driver);

MODULE_DESCRIPTION("Warp engines through uacce");
MODULE_AUTHOR("The uaccel authors");
MODULE_LICENSE("GPL");
