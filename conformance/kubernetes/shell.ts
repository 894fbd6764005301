/**
 * `node conformance/kubernetes/shell.ts [--nodes N] [--rails N | --annotations] [-- COMMAND…]`: a cluster to look around
 * in, and a shell for it. When the shell ends, so does the cluster.
 */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { Kubernetes } from './kubernetes.ts';
import { installMultus } from './multus.ts';
import { withRails } from './networks.ts';

const { values, positionals } = parseArgs({
  options: {
    nodes: { type: 'string', default: '2' },
    rails: { type: 'string', default: '2' },
    annotations: { type: 'boolean', default: false },
  },
  allowPositionals: true,
});
process.on('SIGINT', () => undefined); // it is the shell's
await using kubernetes = await Kubernetes.start({ nodes: Number(values.nodes) });
if (values.annotations) {
  await installMultus(kubernetes);
} else {
  await kubernetes.configure(() => withRails(kubernetes, Number(values.rails)));
}

const quoted = (words: readonly string[]): string => words.map((word) => `'${word}'`).join(' ');
const commands = join(kubernetes.folder, 'commands');
mkdirSync(commands);
const place = (name: string, argv: readonly string[]): void =>
  writeFileSync(join(commands, name), `#!/bin/sh\nexec ${quoted(argv)} "$@"\n`, { mode: 0o755 });
place('kubectl', kubernetes.kubectlWords());
for (const node of kubernetes.nodes) {
  place(`on-${node.name}`, node.entering([]));
}

console.log(`A cluster of ${values.nodes} nodes.
  kubectl get nodes -o wide
  kubectl run web --image=localhost/braid/pod:1 --image-pull-policy=Never
  on-n1 ip -brief address      anything on a node; braid list, say: on-n1 /opt/cni/bin/braid list
  ${kubernetes.folder}: for each node, what it has on disk and its logs`);
const [program = 'bash', ...args] = positionals;
const env = { ...process.env, PATH: `${commands}:${process.env['PATH'] ?? ''}` };
await once(spawn(program, args, { stdio: 'inherit', env }), 'exit');
