/** The far end of the wire: the other card in a namespace of its own, which answers pings, also within VLANs. */
import type { Pod } from '../lab/lab.ts';
import { FAR_CARD, untilCarrier } from './cards.ts';
import type { Node } from './node.ts';
import { linksOf } from './pci.ts';
import { until } from './until.ts';

export class Wire implements AsyncDisposable {
  /** its namespace */
  readonly pod: Pod;
  private readonly node: Node;

  private constructor(node: Node, pod: Pod) {
    this.node = node;
    this.pod = pod;
  }

  /** With the addresses 10.90.0.1/24 and fd90::1/64, untagged. */
  static async open(node: Node): Promise<Wire> {
    const wire = new Wire(node, await node.pod('wire'));
    const { link } = FAR_CARD;
    await node.ip(`link set ${link} netns ${wire.pod.name}`);
    await wire.configure(link, 0);
    await untilCarrier(link, wire.pod.name);
    return wire;
  }

  /** An address of the far end: without VLAN, or within one that `vlan` made. */
  address(vlan = 0): string {
    return `10.90.${vlan % 256}.1`;
  }

  /** An address of the same subnet, for others: `10.90.0.7/24` for 7. */
  neighbour(host: number, vlan = 0): string {
    return `10.90.${vlan % 256}.${host}/24`;
  }

  /** The far end is in a VLAN too; `802.1ad` is the outer tag of two. */
  async vlan(id: number, protocol: '802.1Q' | '802.1ad' = '802.1Q'): Promise<void> {
    const link = `${FAR_CARD.link}.${id}`;
    await this.node.ip(`link add link ${FAR_CARD.link} name ${link} type vlan proto ${protocol} id ${id}`, this.pod);
    await this.configure(link, id);
  }

  /** The card comes back when its namespace ends. */
  async [Symbol.asyncDispose](): Promise<void> {
    await this.node.remove(this.pod);
    await until(`the card ${FAR_CARD.pci} is back`, () => linksOf(FAR_CARD.pci).includes(FAR_CARD.link));
  }

  private async configure(link: string, vlan: number): Promise<void> {
    await this.node.ip(`addr add ${this.address(vlan)}/24 dev ${link}`, this.pod);
    await this.node.ip(`addr add fd90:${vlan}::1/64 dev ${link}`, this.pod);
    await this.node.ip(`link set ${link} up`, this.pod);
  }
}
