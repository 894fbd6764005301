// SPDX-License-Identifier: GPL-2.0 OR MIT
/*
 * A driver for the emulated cards (Intel 82576) in the place of igb and igbvf: it uses nothing of them but SR-IOV, moves
 * no traffic, and keeps every attribute of a virtual function that rtnetlink knows. Devices are of type Ethernet; with
 * the parameter "ib" those that are bound from then on are of type InfiniBand, and have GUIDs.
 */
#include <linux/etherdevice.h>
#include <linux/if_arp.h>
#include <linux/if_infiniband.h>
#include <linux/if_link.h>
#include <linux/if_vlan.h>
#include <linux/module.h>
#include <linux/netdevice.h>
#include <linux/pci.h>
#include <linux/rtnetlink.h>

static bool ib;
module_param(ib, bool, 0644);
MODULE_PARM_DESC(ib, "physical functions bound from now on are of type InfiniBand");

struct vf {
	struct ifla_vf_info info;
	u64 node_guid;
	u64 port_guid;
};

struct vfsim {
	int vf_count;
	struct vf *vfs;
};

static struct pci_driver vfsim_driver;

static struct vf *vf_of(struct net_device *dev, int id)
{
	struct vfsim *sim = netdev_priv(dev);

	return id >= 0 && id < sim->vf_count ? &sim->vfs[id] : NULL;
}

static int set_mac(struct net_device *dev, int id, u8 *mac)
{
	struct vf *vf = vf_of(dev, id);

	if (!vf || is_multicast_ether_addr(mac))
		return -EINVAL;
	ether_addr_copy(vf->info.mac, mac);
	return 0;
}

static int set_vlan(struct net_device *dev, int id, u16 vlan, u8 qos, __be16 proto)
{
	struct vf *vf = vf_of(dev, id);

	if (!vf || vlan >= VLAN_VID_MASK || qos > 7)
		return -EINVAL;
	if (proto != htons(ETH_P_8021Q) && proto != htons(ETH_P_8021AD))
		return -EPROTONOSUPPORT;
	vf->info.vlan = vlan;
	vf->info.qos = qos;
	vf->info.vlan_proto = proto;
	return 0;
}

static int set_rate(struct net_device *dev, int id, int min, int max)
{
	struct vf *vf = vf_of(dev, id);

	if (!vf || (max && min > max))
		return -EINVAL;
	vf->info.min_tx_rate = min;
	vf->info.max_tx_rate = max;
	return 0;
}

static int set_link_state(struct net_device *dev, int id, int state)
{
	struct vf *vf = vf_of(dev, id);

	if (!vf || state < IFLA_VF_LINK_STATE_AUTO || state > IFLA_VF_LINK_STATE_DISABLE)
		return -EINVAL;
	vf->info.linkstate = state;
	return 0;
}

#define SETTER_OF_SWITCH(function, member)                                     \
	static int function(struct net_device *dev, int id, bool on)           \
	{                                                                      \
		struct vf *vf = vf_of(dev, id);                                \
									       \
		if (!vf)                                                       \
			return -EINVAL;                                        \
		vf->info.member = on;                                          \
		return 0;                                                      \
	}

SETTER_OF_SWITCH(set_spoofchk, spoofchk)
SETTER_OF_SWITCH(set_trust, trusted)
SETTER_OF_SWITCH(set_rss_query, rss_query_en)

static int set_guid(struct net_device *dev, int id, u64 guid, int type)
{
	struct vf *vf = vf_of(dev, id);

	if (!vf)
		return -EINVAL;
	if (type == IFLA_VF_IB_NODE_GUID)
		vf->node_guid = guid;
	else
		vf->port_guid = guid;
	return 0;
}

static int get_config(struct net_device *dev, int id, struct ifla_vf_info *info)
{
	struct vf *vf = vf_of(dev, id);

	if (!vf)
		return -EINVAL;
	*info = vf->info;
	info->vf = id;
	return 0;
}

static int get_guid(struct net_device *dev, int id, struct ifla_vf_guid *node, struct ifla_vf_guid *port)
{
	struct vf *vf = vf_of(dev, id);

	if (!vf)
		return -EINVAL;
	node->vf = id;
	node->guid = vf->node_guid;
	port->vf = id;
	port->guid = vf->port_guid;
	return 0;
}

static int open_device(struct net_device *dev)
{
	netif_carrier_on(dev);
	return 0;
}

static int stop_device(struct net_device *dev)
{
	netif_carrier_off(dev);
	return 0;
}

static netdev_tx_t drop(struct sk_buff *skb, struct net_device *dev)
{
	dev->stats.tx_dropped++;
	dev_kfree_skb(skb);
	return NETDEV_TX_OK;
}

static void ignore_rx_mode(struct net_device *dev)
{
}

#define EVERY_DEVICE                                                           \
	.ndo_open = open_device, .ndo_stop = stop_device,                      \
	.ndo_start_xmit = drop, .ndo_set_rx_mode = ignore_rx_mode

#define ETHERNET_DEVICE                                                        \
	EVERY_DEVICE, .ndo_set_mac_address = eth_mac_addr,                     \
	.ndo_validate_addr = eth_validate_addr

static const struct net_device_ops ethernet_vf_ops = { ETHERNET_DEVICE };

static const struct net_device_ops ethernet_pf_ops = {
	ETHERNET_DEVICE,
	.ndo_set_vf_mac = set_mac,
	.ndo_set_vf_vlan = set_vlan,
	.ndo_set_vf_rate = set_rate,
	.ndo_set_vf_spoofchk = set_spoofchk,
	.ndo_set_vf_trust = set_trust,
	.ndo_set_vf_rss_query_en = set_rss_query,
	.ndo_set_vf_link_state = set_link_state,
	.ndo_get_vf_config = get_config,
};

static const struct net_device_ops infiniband_vf_ops = { EVERY_DEVICE };

static const struct net_device_ops infiniband_pf_ops = {
	EVERY_DEVICE,
	.ndo_set_vf_link_state = set_link_state,
	.ndo_set_vf_guid = set_guid,
	.ndo_get_vf_guid = get_guid,
	.ndo_get_vf_config = get_config,
};

/* The device of the physical function, where that is bound to this driver too. */
static struct net_device *pf_of(struct pci_dev *pci)
{
	struct pci_dev *pf = pci_physfn(pci);

	return pci->is_virtfn && pf->dev.driver == &vfsim_driver.driver ? pci_get_drvdata(pf) : NULL;
}

static void set_up_ethernet(struct net_device *dev)
{
	ether_setup(dev);
	dev->max_mtu = 9216;
	dev->priv_flags |= IFF_LIVE_ADDR_CHANGE | IFF_UNICAST_FLT;
}

static void set_up_infiniband(struct net_device *dev)
{
	dev->type = ARPHRD_INFINIBAND;
	dev->hard_header_len = 24; /* IPOIB_HARD_LEN */
	dev->addr_len = INFINIBAND_ALEN;
	dev->mtu = 2044;
	dev->min_mtu = 68;
	dev->max_mtu = 4092;
	dev->tx_queue_len = 256;
	dev->flags = IFF_BROADCAST | IFF_MULTICAST;
	memset(dev->broadcast, 0xff, INFINIBAND_ALEN);
}

/* A virtual function takes what its physical function was told when it is bound, as mlx5 does. */
static void choose_ethernet_address(struct net_device *dev, const struct vf *vf)
{
	if (vf && is_valid_ether_addr(vf->info.mac))
		eth_hw_addr_set(dev, vf->info.mac);
	else
		eth_hw_addr_random(dev);
}

static void choose_infiniband_address(struct net_device *dev, const struct vf *vf)
{
	u8 address[INFINIBAND_ALEN] = { 0, 0, 0, 0x42, 0xfe, 0x80 };
	__be64 guid;

	get_random_bytes(&guid, sizeof(guid));
	if (vf && vf->port_guid)
		guid = cpu_to_be64(vf->port_guid);
	memcpy(address + INFINIBAND_ALEN - sizeof(guid), &guid, sizeof(guid));
	dev_addr_set(dev, address);
}

static struct net_device *make_device(struct pci_dev *pci)
{
	struct net_device *pf = pf_of(pci);
	bool is_ib = pf ? pf->type == ARPHRD_INFINIBAND : ib;
	struct vf *vf = pf ? vf_of(pf, pci_iov_vf_id(pci)) : NULL;
	struct net_device *dev = alloc_netdev(sizeof(struct vfsim), is_ib ? "ib%d" : "eth%d", NET_NAME_ENUM,
					      is_ib ? set_up_infiniband : set_up_ethernet);

	if (!dev)
		return NULL;
	SET_NETDEV_DEV(dev, &pci->dev);
	if (is_ib) {
		dev->netdev_ops = pci->is_virtfn ? &infiniband_vf_ops : &infiniband_pf_ops;
		choose_infiniband_address(dev, vf);
	} else {
		dev->netdev_ops = pci->is_virtfn ? &ethernet_vf_ops : &ethernet_pf_ops;
		choose_ethernet_address(dev, vf);
	}
	netif_carrier_off(dev);
	return dev;
}

static int probe(struct pci_dev *pci, const struct pci_device_id *id)
{
	struct net_device *dev;
	int error = pci_enable_device(pci);

	if (error)
		return error;
	dev = make_device(pci);
	error = dev ? register_netdev(dev) : -ENOMEM;
	if (error) {
		if (dev)
			free_netdev(dev);
		pci_disable_device(pci);
		return error;
	}
	pci_set_drvdata(pci, dev);
	return 0;
}

static void forget_vfs(struct vfsim *sim)
{
	struct vf *vfs = sim->vfs;

	rtnl_lock(); /* under which the attributes are read */
	sim->vf_count = 0;
	sim->vfs = NULL;
	rtnl_unlock();
	kfree(vfs);
}

static int configure_sriov(struct pci_dev *pci, int count)
{
	struct net_device *dev = pci_get_drvdata(pci);
	struct vfsim *sim = netdev_priv(dev);
	int i, error;

	if (count == 0) {
		pci_disable_sriov(pci);
		forget_vfs(sim);
		return 0;
	}
	sim->vfs = kcalloc(count, sizeof(*sim->vfs), GFP_KERNEL);
	if (!sim->vfs)
		return -ENOMEM;
	for (i = 0; i < count; i++) {
		sim->vfs[i].info.vlan_proto = htons(ETH_P_8021Q);
		sim->vfs[i].info.spoofchk = dev->type == ARPHRD_ETHER;
	}
	sim->vf_count = count;
	error = pci_enable_sriov(pci, count);
	if (error)
		forget_vfs(sim);
	return error ? error : count;
}

static void remove(struct pci_dev *pci)
{
	struct net_device *dev = pci_get_drvdata(pci);

	if (!pci->is_virtfn)
		configure_sriov(pci, 0);
	unregister_netdev(dev);
	free_netdev(dev);
	pci_disable_device(pci);
}

static const struct pci_device_id ids[] = {
	{ PCI_VDEVICE(INTEL, 0x10c9) }, /* physical function */
	{ PCI_VDEVICE(INTEL, 0x10ca) }, /* virtual function */
	{}
};
MODULE_DEVICE_TABLE(pci, ids);

static struct pci_driver vfsim_driver = {
	.name = "vfsim",
	.id_table = ids,
	.probe = probe,
	.remove = remove,
	.sriov_configure = configure_sriov,
};
module_pci_driver(vfsim_driver);

MODULE_DESCRIPTION("Network devices of a card with SR-IOV, without traffic");
MODULE_LICENSE("Dual MIT/GPL");
