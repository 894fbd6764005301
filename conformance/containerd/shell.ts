/**
 * `node conformance/containerd/shell.ts [--runtime 2] [--networks N]`: a node to look around on, with a shell on it.
 * When the shell ends, so does the node.
 */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { install, runtimes } from './install.ts';
import { makeRails, multus } from './networks.ts';
import { Site } from './site.ts';
import { placeScript } from './tap.ts';

const { values } = parseArgs({
  options: { runtime: { type: 'string', default: '1' }, networks: { type: 'string', default: '3' } },
});
await install();
const programs = runtimes().find(({ name }) => name.endsWith(values.runtime));
if (programs === undefined) {
  throw new Error(
    `there is no containerd ${values.runtime}: node conformance/containerd/install.ts --with containerd2`,
  );
}
await using site = await Site.open(programs);
await makeRails(site, Number(values.networks));
await site.configure([multus(site, Number(values.networks))]);

const { socket, shell } = site.node.forPeople();
const commands = site.lab.folder('commands');
const client = `'${process.execPath}' '${join(import.meta.dirname, 'cri-command.ts')}'`;
placeScript(join(commands, 'cri'), [`exec ${client} '${socket}' "$@"`]);
placeScript(join(commands, 'ctr'), [`exec '${join(programs.bin, 'ctr')}' -a '${socket}' -n k8s.io "$@"`]);
console.log(`A node with ${await site.cri.version()} and ${values.networks} networks.
  id=$(cri run web)      a pod
  cri show $id           its addresses and its namespace
  ip -n cni-… address    what is in it (ip netns lists them)
  cri stop $id; cri remove $id
  cri status; cri list; ctr containers list
  ${site.lab.dir}: configuration (net.d), plugins (bin), /var/lib/cni (node/cni), log (node/log)`);
const [program = '', ...args] = shell;
const env = { ...process.env, PATH: `${commands}:${process.env['PATH'] ?? ''}` };
await once(spawn(program, args, { stdio: 'inherit', env }), 'exit');
