import { BusFolder } from './bus-folder.ts';

export interface PhysicalFunction {
  /** PCI address */
  readonly address: string;
  /** the interface that stands for the whole card on the host; '' when there is none */
  readonly netdev: string;
  /** of its VFs, by PCI address */
  readonly numbers: ReadonlyMap<string, number>;
}

const NUMBERED = /^virtfn\d+$/;

/** Physical functions, each read once. */
export class PhysicalFunctions {
  private readonly known = new Map<string, PhysicalFunction>();
  private readonly sysfs: string;
  private readonly eswitchModes: ReadonlyMap<string, string>;

  /** @param eswitchModes by PCI address */
  constructor(sysfs: string, eswitchModes: ReadonlyMap<string, string>) {
    this.sysfs = sysfs;
    this.eswitchModes = eswitchModes;
  }

  /**
   * The one with this address.
   *
   * @throws Error when it has gone
   */
  at(address: string): PhysicalFunction {
    const known = this.known.get(address);
    if (known !== undefined) {
      return known;
    }
    const folder = new BusFolder(this.sysfs, 'pci', address);
    const netdev = this.eswitchModes.get(address) === 'switchdev' ? uplinkOf(folder) : folder.netNames()[0];
    const read = { address, netdev: netdev ?? '', numbers: numbersOf(folder) };
    this.known.set(address, read);
    return read;
  }
}

/** Among the representors of its functions, the interface of the port itself. */
function uplinkOf(pf: BusFolder): string | undefined {
  return pf.netNames().find((name) => {
    const port = pf.attribute(`net/${name}/phys_port_name`);
    return pf.attribute(`net/${name}/phys_switch_id`) !== '' && /^p\d+$/.test(port || 'p0');
  });
}

const numbersOf = (pf: BusFolder): ReadonlyMap<string, number> =>
  new Map(pf.matching(NUMBERED).map((name) => [pf.link(name), Number(name.slice('virtfn'.length))]));
