/**
 * What a kubelet does, by hand: `node conformance/containerd/cri-command.ts SOCKET VERB [NAME | ID]`.
 *
 *   status | list | run NAME | show ID | stop ID | remove ID
 */
import { Cri } from './cri.ts';

const [socket = '', verb = '', word = ''] = process.argv.slice(2);
using cri = new Cri(socket);

const VERBS: Readonly<Record<string, () => Promise<unknown>>> = {
  status: async () => ({ runtime: await cri.version(), conditions: (await cri.status()).conditions }),
  list: () => cri.list(),
  run: () => cri.run({ name: word }),
  show: () => cri.sandbox(word),
  stop: () => cri.stop(word),
  remove: () => cri.remove(word),
};

const carryOut = VERBS[verb];
if (carryOut === undefined) {
  console.error(`usage: cri ${Object.keys(VERBS).join(' | ')} [NAME | ID]`);
  process.exitCode = 2;
} else {
  try {
    const answer = await carryOut();
    if (answer !== undefined) {
      console.log(typeof answer === 'string' ? answer : JSON.stringify(answer, null, 2));
    }
  } catch (error) {
    console.error(`cri: ${error instanceof Error ? error.message : String(error)}`);
    process.exitCode = 1;
  }
}
