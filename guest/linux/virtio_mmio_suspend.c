// SPDX-License-Identifier: GPL-2.0
/*
 * A virtio-mmio transport, version 2, that suspends its devices by SUSPEND instead of resetting them. It replaces the kernel's
 * virtio_mmio; the drivers above it are the kernel's own, unchanged.
 *
 * Written from VIRTIO 1.4 (4.2, 3.4) and from the draft of February 2024 (feature bit 42). The device chooses the dialect: the
 * transport accepts the bit that is offered, and uses the driver's freeze and restore, which reset the device, where none is.
 *
 *   suspend:  hold the driver, write SUSPEND, poll Status          draft: until SUSPEND = 1        1.4: and DRIVER_OK = 0
 *   resume:   write Status, poll it, release the driver            draft: clear SUSPEND            1.4: set DRIVER_OK
 *
 * While a driver is held it makes no buffer available and sends no notification. How it is held depends on the device type, see
 * vms_hold(). A device of any other type is reset by its driver's freeze and restore.
 *
 * A device that shows DEVICE_NEEDS_RESET, or does not answer in time, is reset and set up again by its driver's freeze and
 * restore. A disk with requests cannot be reset, because virtio_blk's freeze waits for them: its queues are marked broken, and
 * its requests fail from then on. In the draft a suspend that takes too long is aborted instead, and nothing fails.
 *
 * Not here: legacy devices, shared memory, hot removal of a device that is suspended.
 */
#include <linux/acpi.h>
#include <linux/blk-mq.h>
#include <linux/delay.h>
#include <linux/dma-mapping.h>
#include <linux/interrupt.h>
#include <linux/io.h>
#include <linux/module.h>
#include <linux/netdevice.h>
#include <linux/platform_device.h>
#include <linux/rtnetlink.h>
#include <linux/stop_machine.h>
#include <linux/suspend.h>
#include <linux/version.h>
#include <linux/virtio.h>
#include <linux/virtio_config.h>
#include <linux/virtio_ring.h>
#include <uapi/linux/virtio_console.h>
#include <uapi/linux/virtio_ids.h>
#include <uapi/linux/virtio_mmio.h>

#define VIRTIO_F_SUSPEND_DRAFT 42
#define VIRTIO_F_SUSPEND 43
#define VIRTIO_CONFIG_S_SUSPEND 16

/*
 * Deliberate mistakes, to test devices: at most one of BROKEN_NO_HOLD, BROKEN_NO_WAIT, BROKEN_KICK, BROKEN_STATUS,
 * BROKEN_RESET is defined. LATE_NOTIFY is none: at a shutdown each queue is notified after the reset, as another processor may do that
 * found it not broken before.
 */

static unsigned int patience_ms = 5000;
module_param(patience_ms, uint, 0644);
MODULE_PARM_DESC(patience_ms, "How long a device may take to suspend or to resume, in milliseconds");

struct vms_device {
	struct virtio_device vdev;
	struct platform_device *pdev;
	void __iomem *base;
	int irq;
	bool has_irq;
	bool suspended;
	/* The disk whose request queue is quiesced. */
	struct gendisk *disk;
	/* The network interface that is detached, and whether its polling is disabled too. */
	struct net_device *netdev;
	bool is_polling_disabled;
	/* Orders notifications against the write of SUSPEND, and against a reset. */
	spinlock_t lock;
	bool parked;
};

#define to_vms(device) container_of(device, struct vms_device, vdev)

static u32 vms_read(struct vms_device *vms, unsigned int reg)
{
	return readl(vms->base + reg);
}

static void vms_write(struct vms_device *vms, unsigned int reg, u32 value)
{
	writel(value, vms->base + reg);
}

/* The dialect of SUSPEND that was accepted. */

static bool is_draft(struct vms_device *vms)
{
	return __virtio_test_bit(&vms->vdev, VIRTIO_F_SUSPEND_DRAFT);
}

static bool is_ratified(struct vms_device *vms)
{
	return __virtio_test_bit(&vms->vdev, VIRTIO_F_SUSPEND);
}

/* The device types whose driver vms_hold() can hold. */
static bool vms_can_hold(struct vms_device *vms)
{
	switch (vms->vdev.id.device) {
	case VIRTIO_ID_BLOCK:
	case VIRTIO_ID_CONSOLE:
	case VIRTIO_ID_NET:
		return true;
	default:
		return false;
	}
}

/* The configuration space: by its fields' widths, 64-bit ones in two halves (4.2.2.2). */

static void vms_get(struct virtio_device *vdev, unsigned int offset, void *buffer, unsigned int len)
{
	void __iomem *field = to_vms(vdev)->base + VIRTIO_MMIO_CONFIG + offset;
	u8 *bytes = buffer;
	unsigned int i;

	switch (len) {
	case 1:
		*(u8 *)buffer = readb(field);
		break;
	case 2:
		*(__le16 *)buffer = cpu_to_le16(readw(field));
		break;
	case 4:
		*(__le32 *)buffer = cpu_to_le32(readl(field));
		break;
	case 8:
		((__le32 *)buffer)[0] = cpu_to_le32(readl(field));
		((__le32 *)buffer)[1] = cpu_to_le32(readl(field + 4));
		break;
	default:
		for (i = 0; i < len; i++)
			bytes[i] = readb(field + i);
	}
}

static void vms_set(struct virtio_device *vdev, unsigned int offset, const void *buffer, unsigned int len)
{
	void __iomem *field = to_vms(vdev)->base + VIRTIO_MMIO_CONFIG + offset;
	const u8 *bytes = buffer;
	unsigned int i;

	switch (len) {
	case 1:
		writeb(*(u8 *)buffer, field);
		break;
	case 2:
		writew(le16_to_cpu(*(__le16 *)buffer), field);
		break;
	case 4:
		writel(le32_to_cpu(*(__le32 *)buffer), field);
		break;
	case 8:
		writel(le32_to_cpu(((__le32 *)buffer)[0]), field);
		writel(le32_to_cpu(((__le32 *)buffer)[1]), field + 4);
		break;
	default:
		for (i = 0; i < len; i++)
			writeb(bytes[i], field + i);
	}
}

static u32 vms_generation(struct virtio_device *vdev)
{
	return vms_read(to_vms(vdev), VIRTIO_MMIO_CONFIG_GENERATION);
}

/* Status and features. */

static u8 vms_get_status(struct virtio_device *vdev)
{
	return vms_read(to_vms(vdev), VIRTIO_MMIO_STATUS);
}

/* From here on notifications are not sent, or are again; none is under way when this returns. */
static void vms_park(struct vms_device *vms, bool parked)
{
	unsigned long flags;

	spin_lock_irqsave(&vms->lock, flags);
	vms->parked = parked;
	spin_unlock_irqrestore(&vms->lock, flags);
}

static void vms_set_status(struct virtio_device *vdev, u8 status)
{
	struct vms_device *vms = to_vms(vdev);

	vms_write(vms, VIRTIO_MMIO_STATUS, status);
	if (status & VIRTIO_CONFIG_S_DRIVER_OK)
		vms_park(vms, false);
}

#ifdef LATE_NOTIFY
static bool vms_notify(struct virtqueue *vq);
#endif

static void vms_reset(struct virtio_device *vdev)
{
	struct vms_device *vms = to_vms(vdev);
#ifdef LATE_NOTIFY
	struct virtqueue *vq;
#endif

#ifndef BROKEN_RESET
	/*
	 * No notification before DRIVER_OK (3.1.1): at a shutdown the kernel resets a device whose driver may be about to send
	 * one, for a buffer that it added just before its queue was marked broken.
	 */
	vms_park(vms, true);
#endif
	vms_write(vms, VIRTIO_MMIO_STATUS, 0);
	/* It is over when 0 is read (2.4.2). */
	while (vms_get_status(vdev))
		usleep_range(50, 200);
#ifdef LATE_NOTIFY
	if (system_state > SYSTEM_RUNNING)
		virtio_device_for_each_vq(vdev, vq)
			vms_notify(vq);
#endif
}

static u64 vms_get_features(struct virtio_device *vdev)
{
	struct vms_device *vms = to_vms(vdev);
	u64 features;

	vms_write(vms, VIRTIO_MMIO_DEVICE_FEATURES_SEL, 1);
	features = (u64)vms_read(vms, VIRTIO_MMIO_DEVICE_FEATURES) << 32;
	vms_write(vms, VIRTIO_MMIO_DEVICE_FEATURES_SEL, 0);
	return features | vms_read(vms, VIRTIO_MMIO_DEVICE_FEATURES);
}

static int vms_finalize_features(struct virtio_device *vdev)
{
	struct vms_device *vms = to_vms(vdev);
	u64 offered = vms_get_features(vdev);

	vring_transport_features(vdev);
	if (!__virtio_test_bit(vdev, VIRTIO_F_VERSION_1))
		return -EINVAL;
	/* Feature bits of the transport: the drivers above do not list them. A device offers one of them. */
	if (vms_can_hold(vms)) {
		if (offered & BIT_ULL(VIRTIO_F_SUSPEND))
			__virtio_set_bit(vdev, VIRTIO_F_SUSPEND);
		else if (offered & BIT_ULL(VIRTIO_F_SUSPEND_DRAFT))
			__virtio_set_bit(vdev, VIRTIO_F_SUSPEND_DRAFT);
	}

	vms_write(vms, VIRTIO_MMIO_DRIVER_FEATURES_SEL, 1);
	vms_write(vms, VIRTIO_MMIO_DRIVER_FEATURES, vdev->features >> 32);
	vms_write(vms, VIRTIO_MMIO_DRIVER_FEATURES_SEL, 0);
	vms_write(vms, VIRTIO_MMIO_DRIVER_FEATURES, (u32)vdev->features);
	return 0;
}

/* Queues. */

static bool vms_notify(struct virtqueue *vq)
{
	struct vms_device *vms = to_vms(vq->vdev);
	unsigned long flags;

	spin_lock_irqsave(&vms->lock, flags);
	/* vms_unhold() notifies every queue: no notification is lost. */
	if (!vms->parked)
		vms_write(vms, VIRTIO_MMIO_QUEUE_NOTIFY, vq->index);
	spin_unlock_irqrestore(&vms->lock, flags);
	return true;
}

static irqreturn_t vms_interrupt(int irq, void *opaque)
{
	struct vms_device *vms = opaque;
	u32 events = vms_read(vms, VIRTIO_MMIO_INTERRUPT_STATUS);
	irqreturn_t result = IRQ_NONE;
	struct virtqueue *vq;

	if (!events)
		return IRQ_NONE;
	/* Acknowledged before the queues are read: a later event raises the line again. */
	vms_write(vms, VIRTIO_MMIO_INTERRUPT_ACK, events);
	if (events & VIRTIO_MMIO_INT_CONFIG) {
		virtio_config_changed(&vms->vdev);
		result = IRQ_HANDLED;
	}
	if (events & VIRTIO_MMIO_INT_VRING) {
		virtio_device_for_each_vq((&vms->vdev), vq)
			result |= vring_interrupt(irq, vq);
	}
	return result;
}

static void vms_del_vqs(struct virtio_device *vdev)
{
	struct vms_device *vms = to_vms(vdev);
	struct virtqueue *vq, *next;

	list_for_each_entry_safe(vq, next, &vdev->vqs, list) {
		vms_write(vms, VIRTIO_MMIO_QUEUE_SEL, vq->index);
		vms_write(vms, VIRTIO_MMIO_QUEUE_READY, 0);
		/* It is stopped when that reads back (4.2.2.2). */
		while (vms_read(vms, VIRTIO_MMIO_QUEUE_READY))
			usleep_range(50, 200);
		vring_del_virtqueue(vq);
	}
	if (vms->has_irq)
		free_irq(vms->irq, vms);
	vms->has_irq = false;
}

static void vms_write_address(struct vms_device *vms, unsigned int low, unsigned int high, u64 address)
{
	vms_write(vms, low, lower_32_bits(address));
	vms_write(vms, high, upper_32_bits(address));
}

static struct virtqueue *vms_setup_vq(struct virtio_device *vdev, unsigned int index, vq_callback_t *callback,
				      const char *name, bool ctx)
{
	struct vms_device *vms = to_vms(vdev);
	struct virtqueue *vq;
	u32 max;

	vms_write(vms, VIRTIO_MMIO_QUEUE_SEL, index);
	if (vms_read(vms, VIRTIO_MMIO_QUEUE_READY))
		return ERR_PTR(-EBUSY);
	max = vms_read(vms, VIRTIO_MMIO_QUEUE_NUM_MAX);
	if (!max)
		return ERR_PTR(-ENOENT);
	vq = vring_create_virtqueue(index, max, PAGE_SIZE, vdev, true, true, ctx, vms_notify, callback, name);
	if (!vq)
		return ERR_PTR(-ENOMEM);
	vq->num_max = max;
	vms_write(vms, VIRTIO_MMIO_QUEUE_NUM, virtqueue_get_vring_size(vq));
	vms_write_address(vms, VIRTIO_MMIO_QUEUE_DESC_LOW, VIRTIO_MMIO_QUEUE_DESC_HIGH, virtqueue_get_desc_addr(vq));
	vms_write_address(vms, VIRTIO_MMIO_QUEUE_AVAIL_LOW, VIRTIO_MMIO_QUEUE_AVAIL_HIGH,
			  virtqueue_get_avail_addr(vq));
	vms_write_address(vms, VIRTIO_MMIO_QUEUE_USED_LOW, VIRTIO_MMIO_QUEUE_USED_HIGH, virtqueue_get_used_addr(vq));
	vms_write(vms, VIRTIO_MMIO_QUEUE_READY, 1);
	return vq;
}

#if LINUX_VERSION_CODE < KERNEL_VERSION(6, 11, 0)
/* As later kernels describe a queue. */
struct virtqueue_info {
	const char *name;
	vq_callback_t *callback;
	bool ctx;
};
#endif

static int vms_setup_vqs(struct virtio_device *vdev, unsigned int count, struct virtqueue *vqs[],
			 struct virtqueue_info info[], struct irq_affinity *desc)
{
	struct vms_device *vms = to_vms(vdev);
	unsigned int i, index = 0;
	int error;

	error = request_irq(vms->irq, vms_interrupt, IRQF_SHARED, dev_name(&vdev->dev), vms);
	if (error)
		return error;
	vms->has_irq = true;
	for (i = 0; i < count; i++) {
		vqs[i] = NULL;
		if (!info[i].name)
			continue;
		vqs[i] = vms_setup_vq(vdev, index++, info[i].callback, info[i].name, info[i].ctx);
		if (IS_ERR(vqs[i])) {
			error = PTR_ERR(vqs[i]);
			vms_del_vqs(vdev);
			return error;
		}
	}
	return 0;
}

#if LINUX_VERSION_CODE < KERNEL_VERSION(6, 11, 0)
static int vms_find_vqs(struct virtio_device *vdev, unsigned int count, struct virtqueue *vqs[],
			vq_callback_t *callbacks[], const char *const names[], const bool *ctx,
			struct irq_affinity *desc)
{
	struct virtqueue_info *info = kcalloc(count, sizeof(*info), GFP_KERNEL);
	unsigned int i;
	int error;

	if (!info)
		return -ENOMEM;
	for (i = 0; i < count; i++)
		info[i] = (struct virtqueue_info) { names[i], callbacks[i], ctx && ctx[i] };
	error = vms_setup_vqs(vdev, count, vqs, info, desc);
	kfree(info);
	return error;
}
#else
#define vms_find_vqs vms_setup_vqs
#endif

static const char *vms_bus_name(struct virtio_device *vdev)
{
	return to_vms(vdev)->pdev->name;
}

static void vms_synchronize_cbs(struct virtio_device *vdev)
{
	synchronize_irq(to_vms(vdev)->irq);
}

static const struct virtio_config_ops vms_config_ops = {
	.get = vms_get,
	.set = vms_set,
	.generation = vms_generation,
	.get_status = vms_get_status,
	.set_status = vms_set_status,
	.reset = vms_reset,
	.find_vqs = vms_find_vqs,
	.del_vqs = vms_del_vqs,
	.get_features = vms_get_features,
	.finalize_features = vms_finalize_features,
	.bus_name = vms_bus_name,
	.synchronize_cbs = vms_synchronize_cbs,
};

/* Suspend and resume. */

#ifdef CONFIG_PM_SLEEP

/*
 * Reads Status until the bits of `mask` are `wanted`: 0. -EIO if the device needs a reset, -ETIMEDOUT if it takes too long, and
 * -EBUSY if `may_abort` and the system wants to be awake.
 */
static int vms_poll(struct vms_device *vms, u8 mask, u8 wanted, bool may_abort)
{
	unsigned long end = jiffies + msecs_to_jiffies(patience_ms);
	bool last = false;

#ifdef BROKEN_NO_WAIT
	return 0;
#endif
	for (;;) {
		u8 status = vms_get_status(&vms->vdev);

		/* A resume that failed may show both. */
		if (status & VIRTIO_CONFIG_S_NEEDS_RESET)
			return -EIO;
		if ((status & mask) == wanted)
			return 0;
		if (may_abort && pm_wakeup_pending())
			return -EBUSY;
		if (last)
			return -ETIMEDOUT;
		/* Once more after the end: this thread may have slept through it. */
		last = time_after(jiffies, end);
		usleep_range(50, 200);
	}
}

/* A ring was found to be bad, or the device did not recover. */
static bool vms_is_broken(struct vms_device *vms)
{
	struct virtqueue *vq;

	virtio_device_for_each_vq((&vms->vdev), vq)
		if (virtqueue_is_broken(vq))
			return true;
	return false;
}

/*
 * Runs while every other processor is stopped: none is inside a section that holds a spin lock, so virtio_console is neither
 * adding a buffer nor polling until one is used.
 */
static int vms_break_queues(void *opaque)
{
	struct vms_device *vms = opaque;
	struct virtqueue *vq;

	/*
	 * virtio_console handles a control message without a lock, and then answers it and makes its buffer available again. When
	 * it handles none, all buffers of its control receive queue, queue 2, are in the ring.
	 */
	if (__virtio_test_bit(&vms->vdev, VIRTIO_CONSOLE_F_MULTIPORT)) {
		virtio_device_for_each_vq((&vms->vdev), vq)
			if (vq->index == 2 && vq->num_free)
				return -EBUSY;
	}
	virtio_break_device(&vms->vdev);
	return 0;
}

static int vms_is_disk(struct device *dev, void *unused)
{
	return dev->class && !strcmp(dev->class->name, "block");
}

static void vms_set_polling(struct vms_device *vms, bool enabled)
{
	struct napi_struct *napi;

	/* One without a weight is not used. */
	list_for_each_entry(napi, &vms->netdev->napi_list, dev_list) {
		if (!napi->weight)
			continue;
		if (enabled)
			napi_enable(napi);
		else
			napi_disable(napi);
	}
}

static void vms_detach(struct vms_device *vms)
{
	struct net_device *dev;

	rtnl_lock();
	for_each_netdev(&init_net, dev) {
		if (dev->dev.parent != &vms->vdev.dev)
			continue;
		dev_hold(dev);
		vms->netdev = dev;
		vms->is_polling_disabled = netif_running(dev);
		/* Polling would wake a transmit queue. */
		if (vms->is_polling_disabled)
			vms_set_polling(vms, false);
		netif_addr_lock_bh(dev);
		netif_tx_lock(dev);
		netif_device_detach(dev);
		netif_tx_unlock(dev);
		netif_addr_unlock_bh(dev);
		break;
	}
	rtnl_unlock();
}

static void vms_attach(struct vms_device *vms)
{
	if (!vms->netdev)
		return;
	rtnl_lock();
	if (vms->is_polling_disabled)
		vms_set_polling(vms, true);
	netif_device_attach(vms->netdev);
	rtnl_unlock();
	dev_put(vms->netdev);
	vms->netdev = NULL;
}

/*
 * Holds the driver: until vms_unhold() no thread, worker or interrupt handler makes a buffer available or sends a notification.
 * Parking notifications is not enough: virtqueue_add() writes the ring without calling the transport.
 *
 * Block: the disk's request queue is quiesced. Requests in flight complete, later ones wait in the block layer. The request
 * queue is not frozen: that would wait for the requests in flight, however long the device takes. The queues are not marked
 * broken: a request that virtqueue_add() refuses fails.
 *
 * Network: polling is disabled, and the interface detached, as virtio_net does in its freeze. Receive buffers stay in the ring. Used
 * buffers of both kinds wait for the polling, and commands are not sent through a detached interface.
 *
 * Console: the queues are marked broken. Nothing is added, no callback is called, and used buffers stay in the ring. hvc keeps
 * the characters that virtqueue_add() refuses and sends them later. They cannot be left in the ring for the resume: virtio_console
 * polls, with interrupts disabled, until they are used.
 *
 * Returns -EBUSY if that is not possible within patience_ms, or if the system is woken.
 */
static int vms_hold(struct vms_device *vms)
{
	unsigned long end = jiffies + msecs_to_jiffies(patience_ms);
	struct device *dev;

#ifdef BROKEN_NO_HOLD
	vms_park(vms, true);
	return 0;
#endif
	if (vms->vdev.id.device == VIRTIO_ID_BLOCK) {
		dev = device_find_child(&vms->vdev.dev, NULL, vms_is_disk);
		if (dev) {
			vms->disk = dev_to_disk(dev);
			blk_mq_quiesce_queue(vms->disk->queue);
		}
	} else if (vms->vdev.id.device == VIRTIO_ID_NET) {
		vms_detach(vms);
	} else {
		while (stop_machine(vms_break_queues, vms, NULL)) {
			if (time_after(jiffies, end) || pm_wakeup_pending())
				return -EBUSY;
			usleep_range(50, 200);
		}
	}
	vms_park(vms, true);
	return 0;
}

static void vms_unquiesce(struct vms_device *vms)
{
	if (!vms->disk)
		return;
	blk_mq_unquiesce_queue(vms->disk->queue);
	put_device(disk_to_dev(vms->disk));
	vms->disk = NULL;
}

/* The device is running: every queue is notified, and looked through for used buffers whose interrupt found the driver held. */
static void vms_unhold(struct vms_device *vms)
{
	struct virtqueue *vq;
	unsigned long flags;

	/* Before anything can be added: a notification that is still parked would not end virtio_console's polling. */
	vms_park(vms, false);
	if (vms->vdev.id.device == VIRTIO_ID_CONSOLE)
		__virtio_unbreak_device(&vms->vdev);
	vms_attach(vms);
	virtio_device_for_each_vq((&vms->vdev), vq) {
		vms_notify(vq);
		local_irq_save(flags);
		vring_interrupt(vms->irq, vq);
		local_irq_restore(flags);
	}
	vms_unquiesce(vms);
}

/*
 * Resets a device that failed and sets it up again by its driver's freeze and restore. virtio_blk's freeze waits for the disk's
 * requests: a disk that has some is marked broken instead.
 */
static int vms_recover(struct vms_device *vms, const char *what, int error)
{
	struct request_queue *queue = vms->disk ? vms->disk->queue : NULL;
	bool idle = true;

	/* virtio_net's freeze disables its polling itself. */
	vms_attach(vms);
	if (queue) {
		blk_freeze_queue_start(queue);
		idle = blk_mq_freeze_queue_wait_timeout(queue, HZ) > 0;
	}
	if (idle) {
		dev_err(&vms->pdev->dev, "the device did not %s (%d); it is reset\n", what, error);
		error = virtio_device_freeze(&vms->vdev);
		if (!error)
			error = virtio_device_restore(&vms->vdev);
	} else {
		dev_err(&vms->pdev->dev, "the device did not %s (%d) and has requests; it is broken\n", what, error);
		virtio_break_device(&vms->vdev);
	}
	if (queue)
		blk_mq_unfreeze_queue(queue);
	vms_unquiesce(vms);
	return error;
}

static int vms_suspend(struct device *dev)
{
	struct vms_device *vms = dev_get_drvdata(dev);
	u8 status = vms_get_status(&vms->vdev);
	u8 mask = VIRTIO_CONFIG_S_SUSPEND;
	int error;

	vms->suspended = false;
	if (!is_draft(vms) && !is_ratified(vms))
		return virtio_device_freeze(&vms->vdev);
	/* A device that has no driver, or that needs a reset, cannot be suspended. */
	if (!(status & VIRTIO_CONFIG_S_DRIVER_OK) || status & VIRTIO_CONFIG_S_NEEDS_RESET || vms_is_broken(vms))
		return 0;

	error = vms_hold(vms);
	if (error)
		return error;
	vms_write(vms, VIRTIO_MMIO_STATUS, status | VIRTIO_CONFIG_S_SUSPEND);
#ifdef BROKEN_STATUS
	/* While it is under way SUSPEND reads 0, and 0 is written back. */
	virtio_add_status(&vms->vdev, VIRTIO_CONFIG_S_DRIVER_OK);
#endif
	if (is_ratified(vms))
		mask |= VIRTIO_CONFIG_S_DRIVER_OK;
	error = vms_poll(vms, mask, VIRTIO_CONFIG_S_SUSPEND, is_draft(vms));
	if (!error) {
		vms->suspended = true;
#ifdef BROKEN_KICK
		vms_write(vms, VIRTIO_MMIO_QUEUE_NOTIFY, 0);
#endif
		if (device_may_wakeup(dev))
			enable_irq_wake(vms->irq);
		return 0;
	}
	if (is_draft(vms) && error != -EIO) {
		/* The draft allows an abort. */
		vms_write(vms, VIRTIO_MMIO_STATUS, status);
		if (!vms_poll(vms, VIRTIO_CONFIG_S_SUSPEND, 0, false)) {
			dev_info(dev, "suspending was aborted (%d)\n", error);
			vms_unhold(vms);
			return error;
		}
	}
	vms_recover(vms, "suspend", error);
	return error;
}

static int vms_resume(struct device *dev)
{
	struct vms_device *vms = dev_get_drvdata(dev);
	u8 mask = VIRTIO_CONFIG_S_SUSPEND;
	u8 wanted = 0;
	u8 status;
	int error;

	if (!is_draft(vms) && !is_ratified(vms))
		return virtio_device_restore(&vms->vdev);
	if (!vms->suspended)
		return 0;
	vms->suspended = false;
	if (device_may_wakeup(dev))
		disable_irq_wake(vms->irq);

	status = vms_get_status(&vms->vdev);
	if (is_ratified(vms)) {
		/* No bit is cleared: the device does that. */
		vms_write(vms, VIRTIO_MMIO_STATUS, status | VIRTIO_CONFIG_S_DRIVER_OK);
		mask |= VIRTIO_CONFIG_S_DRIVER_OK;
		wanted = VIRTIO_CONFIG_S_DRIVER_OK;
	} else {
		vms_write(vms, VIRTIO_MMIO_STATUS, status & ~VIRTIO_CONFIG_S_SUSPEND);
	}
	error = vms_poll(vms, mask, wanted, false);
	if (error)
		return vms_recover(vms, "resume", error);
	vms_unhold(vms);
	return 0;
}

/* Hibernation takes the device's state away: the classic way. */

static int vms_freeze(struct device *dev)
{
	struct vms_device *vms = dev_get_drvdata(dev);

	return virtio_device_freeze(&vms->vdev);
}

static int vms_restore(struct device *dev)
{
	struct vms_device *vms = dev_get_drvdata(dev);

	return virtio_device_restore(&vms->vdev);
}

static const struct dev_pm_ops vms_pm_ops = {
	.suspend = vms_suspend,
	.resume = vms_resume,
	.freeze = vms_freeze,
	.thaw = vms_restore,
	.poweroff = vms_freeze,
	.restore = vms_restore,
};

#endif

/* The platform device. */

static void vms_release(struct device *dev)
{
	struct virtio_device *vdev = container_of(dev, struct virtio_device, dev);

	kfree(to_vms(vdev));
}

static int vms_probe(struct platform_device *pdev)
{
	struct vms_device *vms;
	u32 type;
	int error;

	vms = kzalloc(sizeof(*vms), GFP_KERNEL);
	if (!vms)
		return -ENOMEM;
	vms->pdev = pdev;
	vms->vdev.dev.parent = &pdev->dev;
	vms->vdev.dev.release = vms_release;
	vms->vdev.config = &vms_config_ops;
	spin_lock_init(&vms->lock);
	error = -ENODEV;
	vms->base = devm_platform_ioremap_resource(pdev, 0);
	if (IS_ERR(vms->base)) {
		error = PTR_ERR(vms->base);
		goto out;
	}
	vms->irq = platform_get_irq(pdev, 0);
	if (vms->irq < 0) {
		error = vms->irq;
		goto out;
	}
	if (vms_read(vms, VIRTIO_MMIO_MAGIC_VALUE) != ('v' | 'i' << 8 | 'r' << 16 | 't' << 24)) {
		dev_warn(&pdev->dev, "this is no virtio device\n");
		goto out;
	}
	if (vms_read(vms, VIRTIO_MMIO_VERSION) != 2) {
		dev_err(&pdev->dev, "only version 2 is supported\n");
		goto out;
	}
	type = vms_read(vms, VIRTIO_MMIO_DEVICE_ID);
	/* A place without a device is passed over in silence (4.2.3.1.1). */
	if (!type)
		goto out;
	vms->vdev.id.device = type;
	vms->vdev.id.vendor = vms_read(vms, VIRTIO_MMIO_VENDOR_ID);

	error = dma_set_mask_and_coherent(&pdev->dev, DMA_BIT_MASK(64));
	if (error)
		goto out;
	platform_set_drvdata(pdev, vms);
	device_init_wakeup(&pdev->dev, true);
	error = register_virtio_device(&vms->vdev);
	if (error)
		put_device(&vms->vdev.dev);
	return error;
out:
	kfree(vms);
	return error;
}

#if LINUX_VERSION_CODE < KERNEL_VERSION(6, 11, 0)
#define VMS_REMOVED int
#define VMS_REMOVED_VALUE 0
#else
#define VMS_REMOVED void
#define VMS_REMOVED_VALUE
#endif

static VMS_REMOVED vms_remove(struct platform_device *pdev)
{
	struct vms_device *vms = platform_get_drvdata(pdev);

	device_init_wakeup(&pdev->dev, false);
	unregister_virtio_device(&vms->vdev);
	return VMS_REMOVED_VALUE;
}

static const struct acpi_device_id vms_acpi_ids[] = {
	{ "LNRO0005" },
	{ }
};
MODULE_DEVICE_TABLE(acpi, vms_acpi_ids);

static struct platform_driver vms_driver = {
	.probe = vms_probe,
	.remove = vms_remove,
	.driver = {
		.name = "virtio-mmio-suspend",
		.acpi_match_table = ACPI_PTR(vms_acpi_ids),
#ifdef CONFIG_PM_SLEEP
		.pm = &vms_pm_ops,
#endif
	},
};
module_platform_driver(vms_driver);

MODULE_DESCRIPTION("virtio-mmio with SUSPEND");
MODULE_LICENSE("GPL");
