/** What is known about devices that a kubelet can hand out. */

export interface DeviceFacts {
  /** PCI address, or name on the auxiliary bus: what the kubelet calls it */
  readonly id: string;
  readonly bus: 'pci' | 'auxiliary';
  /** where it is plugged in, below the root of sysfs: `devices/pci0000:00/0000:00:01.0/0000:01:00.0` */
  readonly place: string;
  /** of the PCI device itself, or that a scalable function belongs to */
  readonly pciAddress: string;
  /** four hex digits, lower case */
  readonly vendor: string;
  readonly device: string;
  /** base class, two hex digits: `02` network, `12` accelerator */
  readonly baseClass: string;
  readonly driver: string;
  /** undefined: not known, or none */
  readonly numaNode: number | undefined;
  readonly acpiIndex: string;
  /** `sf`; '' for PCI devices */
  readonly auxType: string;
  /** address and interface of its physical function; '' where it has none, or is none of its functions */
  readonly pfAddress: string;
  readonly pfName: string;
  /** number of a VF, or of a scalable function; undefined: not known */
  readonly functionNumber: number | undefined;
  /** its interface on the host; '' when there is none, as in a pod */
  readonly netdev: string;
  /** `ether`, `infiniband`; '' when not known */
  readonly linkType: string;
  readonly isRdma: boolean;
  /** RDMA devices that the host sees */
  readonly rdmaDevices: readonly string[];
  readonly vdpa: VdpaDevice | undefined;
  readonly pKey: string;
  readonly ddpProfile: string;
  /** a physical function with VFs of its own */
  readonly hasVfs: boolean;
  /** the node itself needs it: its default route goes through it */
  readonly isOfNode: boolean;
}

export interface VdpaDevice {
  /** `vdpa0` */
  readonly name: string;
  readonly type: 'vhost' | 'virtio';
  /** `vhost-vdpa-0`; '' for virtio */
  readonly node: string;
}

export interface LinkState {
  /** set up */
  readonly isUp: boolean;
  readonly hasCarrier: boolean;
}

/** What only the kernel tells, not sysfs. */
export interface KernelFacts {
  /** by interface of the host */
  readonly links: ReadonlyMap<string, LinkState>;
  /** `ether`, by interface of the host */
  readonly linkTypes: ReadonlyMap<string, string>;
  /** interfaces that a default route goes through, also below bonds, VLANs and bridges */
  readonly routed: ReadonlySet<string>;
  /** `legacy`, `switchdev`, by PCI address; absent when not known */
  readonly eswitchModes: ReadonlyMap<string, string>;
  /** devices whose driver parameter `enable_rdma` is set: the RDMA device of some is in a pod */
  readonly rdmaEnabled: ReadonlySet<string>;
  /** by the PCI address of their parent */
  readonly vdpa: ReadonlyMap<string, VdpaDevice>;
  /** DDP packages, by PCI address */
  readonly ddpProfiles: ReadonlyMap<string, string>;
}

export const NOTHING_KNOWN: KernelFacts = {
  links: new Map(),
  linkTypes: new Map(),
  routed: new Set(),
  eswitchModes: new Map(),
  rdmaEnabled: new Set(),
  vdpa: new Map(),
  ddpProfiles: new Map(),
};
