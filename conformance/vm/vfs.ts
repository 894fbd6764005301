/** Virtual functions of a card, which go with this value. */
import { mustRun } from '../lab/execute.ts';
import { CARD, type Card, putUp } from './cards.ts';
import { bind, bindByDefault, driverOf, linksOf, pciLink, readPci, writePci } from './pci.ts';
import { until } from './until.ts';

export interface Vf {
  readonly id: number;
  /** on the PCI bus */
  readonly pci: string;
  /** its interface, while it is in the first namespace and has a driver of networks */
  readonly link: string;
}

export interface VfsOptions {
  readonly card?: Card;
  /** the interfaces are called `vf0`, `vf1`, … with this prefix */
  readonly prefix?: string;
  /** the card is put up, as it is on a node that is in use */
  readonly isCardUp?: boolean;
}

export class Vfs implements AsyncDisposable {
  readonly card: Card;
  readonly all: readonly Vf[];

  private constructor(card: Card, all: readonly Vf[]) {
    this.card = card;
    this.all = all;
  }

  /** Makes so many; those of the card `CARD` unless told otherwise. */
  static async make(count: number, { card = CARD, prefix = 'vf', isCardUp = true }: VfsOptions = {}): Promise<Vfs> {
    try {
      writePci(card.pci, 'sriov_drivers_autoprobe', '0');
      writePci(card.pci, 'sriov_numvfs', String(count));
      writePci(card.pci, 'sriov_drivers_autoprobe', '1');
      if (isCardUp) {
        // Before the VFs have drivers: igbvf asks the card once, and where that does not answer again after 10 s.
        await putUp(card);
      }
      const all: Vf[] = [];
      for (let id = 0; id < count; id++) {
        all.push(await bindVf(card, id, `${prefix}${id}`));
      }
      return new Vfs(card, all);
    } catch (error) {
      await removeVfs(card);
      throw error;
    }
  }

  /** @throws RangeError when there is none of this number */
  at(id: number): Vf {
    const vf = this.all[id];
    if (vf === undefined) {
      throw new RangeError(`there is no VF ${id}`);
    }
    return vf;
  }

  /** Removes all of them, wherever they are, and puts the card down. */
  async [Symbol.asyncDispose](): Promise<void> {
    await removeVfs(this.card);
  }
}

async function bindVf(card: Card, id: number, link: string): Promise<Vf> {
  const pci = pciLink(card.pci, `virtfn${id}`);
  if (pci === undefined) {
    throw new Error(`the card ${card.pci} made no VF ${id}`);
  }
  // igbvf knows the same devices as vfsim, and came first.
  await (driverOf(card.pci) === 'vfsim' ? bind(pci, 'vfsim') : bindByDefault(pci));
  const made = await until(`the VF ${pci} has an interface`, () => linksOf(pci)[0]);
  await mustRun(['ip', 'link', 'set', made, 'name', link]);
  return { id, pci, link };
}

async function removeVfs(card: Card): Promise<void> {
  await until(`the card ${card.pci} has an interface`, () => linksOf(card.pci).length > 0);
  await mustRun(['ip', 'link', 'set', card.link, 'down']); // first: the card is reset once less
  if (readPci(card.pci, 'sriov_numvfs') !== '0') {
    writePci(card.pci, 'sriov_numvfs', '0');
  }
}
