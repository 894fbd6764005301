/** Networks that are attached in either form. */
import { existsSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { type Lab, PARENT } from '../lab/lab.ts';

const ipam = (lab: Lab, index: number): object => ({
  type: 'whereabouts',
  datastore: 'file',
  data_dir: join(lab.dir, 'store'),
  range: `10.5.${index}.0/24`,
});

export const network = (lab: Lab, index = 0): Readonly<Record<string, unknown>> => ({
  cniVersion: '1.1.0',
  name: `rail-${index}`,
  type: 'macvlan',
  master: PARENT,
  ipam: ipam(lab, index),
});

/** The same with a plugin chained to it, of a few lines of shell, in the lab's folder `fake`. */
export function chained(lab: Lab, type: string): object {
  const { cniVersion, name, ...plugin } = network(lab);
  return { cniVersion, name, plugins: [plugin, { type }] };
}

/** multus with these networks. */
export const multus = (lab: Lab, bin: string, delegates: readonly object[]): object => ({
  cniVersion: '1.1.0',
  name: 'node',
  type: 'multus',
  cniDir: lab.folder('multus'),
  binDir: bin,
  delegates,
});

/** Words of shell: the lab's file `reached` is made, and nothing goes on until `letGo`, or the caller has hung for long. */
export const untilLetGo = (lab: Lab): string => {
  const [reached, goes] = [join(lab.dir, 'reached'), join(lab.dir, 'goes')];
  return `touch ${reached}; for _ in $(seq 1200); do [ -e ${goes} ] && break; sleep 0.1; done`;
};

/** A script that waits in ADD until `letGo`. */
export const waits = (lab: Lab): string =>
  ['cat >/dev/null', '[ "$CNI_COMMAND" = ADD ] || exit 0', untilLetGo(lab), `echo '{"cniVersion":"1.1.0"}'`].join('\n');

/** Whether a call waits. */
export const reached = (lab: Lab): boolean => existsSync(join(lab.dir, 'reached'));

/** Calls that wait go on, and none waits any more. */
export const letGo = (lab: Lab): void => writeFileSync(join(lab.dir, 'goes'), '');
