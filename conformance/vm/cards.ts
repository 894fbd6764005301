/** The two network cards of the machine. They are on one wire. */
import { mustRun } from '../lab/execute.ts';
import { linksOf } from './pci.ts';
import { until } from './until.ts';

/** A physical function. */
export interface Card {
  /** on the PCI bus */
  readonly pci: string;
  /** its interface */
  readonly link: string;
  readonly mac: string;
}

/** The card whose virtual functions are tried. */
export const CARD: Card = { pci: '0000:01:00.0', link: 'eth0', mac: '52:54:00:82:57:00' };

/** The card at the other end of the wire: see wire.ts. */
export const FAR_CARD: Card = { pci: '0000:02:00.0', link: 'far0', mac: '52:54:00:82:57:01' };

/** igb keeps one of eight for itself. */
export const MAX_VFS = 7;

/** Puts a card's interface up and waits for its carrier. */
export async function putUp(card: Card): Promise<void> {
  await until(`the card ${card.pci} has an interface`, () => linksOf(card.pci).length > 0);
  await mustRun(['ip', 'link', 'set', card.link, 'up']);
  await untilCarrier(card.link);
}

/** Waits for an interface that was put up: for its carrier, and for its link-local address to be ready. */
export function untilCarrier(link: string, namespace?: string): Promise<boolean> {
  return until(`"${link}" has carrier and a link-local address`, async () => {
    const where = namespace === undefined ? [] : ['-n', namespace];
    const [found] = JSON.parse(await mustRun(['ip', ...where, '-j', 'addr', 'show', 'dev', link])) as Addressed[];
    const addresses = found?.addr_info ?? [];
    return (
      found?.operstate === 'UP' &&
      addresses.some(({ scope }) => scope === 'link') &&
      !addresses.some(({ tentative }) => tentative)
    );
  });
}

interface Addressed {
  readonly operstate: string;
  readonly addr_info: readonly { readonly scope: string; readonly tentative?: boolean }[];
}
