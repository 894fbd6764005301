/** A node with many cards, each with many functions, as files. */
import { mkdirSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';

export interface Many {
  readonly cards: number;
  readonly functions: number;
}

const BUS = 'sys/bus/pci/devices';
const HOST = 'sys/devices/pci0000:00';

const hex = (value: number): string => value.toString(16).padStart(2, '0');
const cardAt = (card: number): string => `0000:${hex(0x10 + card)}:00.0`;

/** Address of a function of a card. */
export const functionAt = (card: number, number: number): string =>
  `0000:${hex(0x10 + card)}:${hex(1 + (number >> 3))}.${number & 7}`;

/** Makes cards `ens0`, `ens1`, … with functions that have a driver. */
export function makeManyFunctions(root: string, { cards, functions }: Many): void {
  mkdirSync(join(root, BUS), { recursive: true });
  for (const driver of ['ice', 'iavf']) {
    mkdirSync(join(root, 'sys/bus/pci/drivers', driver), { recursive: true });
  }
  for (let card = 0; card < cards; card++) {
    const address = cardAt(card);
    addFunction(root, address, { id: '1592', driver: 'ice', netdev: `ens${card}`, numa: card % 2 });
    writeFileSync(join(root, HOST, address, 'sriov_totalvfs'), `${functions}\n`);
    writeFileSync(join(root, HOST, address, 'sriov_numvfs'), `${functions}\n`);
    for (let number = 0; number < functions; number++) {
      const own = functionAt(card, number);
      addFunction(root, own, { id: '1889', driver: 'iavf', netdev: `ens${card}v${number}`, numa: card % 2 });
      symlinkSync(`../${address}`, join(root, HOST, own, 'physfn'));
      symlinkSync(`../${own}`, join(root, HOST, address, `virtfn${number}`));
    }
  }
}

/** As when a card makes fewer functions. */
export function removeFunction(root: string, address: string): void {
  rmSync(join(root, BUS, address));
  rmSync(join(root, HOST, address), { recursive: true });
}

interface Made {
  /** of its device */
  readonly id: string;
  readonly driver: string;
  readonly netdev: string;
  readonly numa: number;
}

function addFunction(root: string, address: string, { id, driver, netdev, numa }: Made): void {
  const folder = join(root, HOST, address);
  mkdirSync(join(folder, 'net', netdev), { recursive: true });
  writeFileSync(join(folder, 'modalias'), `pci:v00008086d0000${id.toUpperCase()}sv00008086sd00000001bc02sc00i00\n`);
  writeFileSync(join(folder, 'numa_node'), `${numa}\n`);
  symlinkSync(`../../../bus/pci/drivers/${driver}`, join(folder, 'driver'));
  symlinkSync(`../../../devices/pci0000:00/${address}`, join(root, BUS, address));
}
