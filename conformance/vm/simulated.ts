/** The card with the driver vfsim, which takes every attribute of a VF, and moves no traffic. */
import { writeFileSync } from 'node:fs';
import { mustRun } from '../lab/execute.ts';
import { CARD, type Card } from './cards.ts';
import { bind, bindByDefault, linksOf, readPci, writePci } from './pci.ts';
import { until } from './until.ts';

export class SimulatedCard implements AsyncDisposable {
  /** for `Vfs.make({ card })` and the like */
  readonly card: Card;

  private constructor(card: Card) {
    this.card = card;
  }

  /** Takes `CARD` from its driver; of type InfiniBand its interface is called `ib0`, and VFs have GUIDs. */
  static async open({ isInfiniband = false } = {}): Promise<SimulatedCard> {
    await mustRun(['modprobe', 'vfsim']);
    writeFileSync('/sys/module/vfsim/parameters/ib', isInfiniband ? '1' : '0');
    await bind(CARD.pci, 'vfsim');
    const link = await until('vfsim made an interface', () => linksOf(CARD.pci)[0]);
    const mac = await mustRun(['cat', `/sys/class/net/${link}/address`]);
    return new SimulatedCard({ pci: CARD.pci, link, mac: mac.trim() });
  }

  /** Gives the card back to its own driver. */
  async [Symbol.asyncDispose](): Promise<void> {
    if (readPci(CARD.pci, 'sriov_numvfs') !== '0') {
      writePci(CARD.pci, 'sriov_numvfs', '0');
    }
    await bindByDefault(CARD.pci);
    const link = await until('the card has an interface', () => linksOf(CARD.pci)[0]);
    if (link !== CARD.link) {
      await mustRun(['ip', 'link', 'set', link, 'name', CARD.link]);
    }
  }
}
