/** Tests of an example, for the tier that can run it. */
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, it } from 'vitest';
import { eventually, settled } from '../lab/eventually.ts';
import { cnitool, Lab, PARENT, PARENT_MAC, PARENT_PEER, type Pod, writeNetwork } from '../lab/lab.ts';
import { OURS, ROOT } from '../lab/programs.ts';
import { filesIn, stateOf } from '../lab/state.ts';
import type { Expectation } from './expectation.ts';

interface Example {
  readonly cniVersion: string;
  readonly name: string;
  readonly plugins: readonly object[];
}

/** A node as examples expect it: the parent is eth0, records are below /var/lib/cni. */
class ExampleNode implements AsyncDisposable {
  readonly lab: Lab;
  readonly pod: Pod;
  private readonly example: Example;

  private constructor(lab: Lab, pod: Pod, example: Example) {
    this.lab = lab;
    this.pod = pod;
    this.example = example;
  }

  static async open(example: Example): Promise<ExampleNode> {
    const lab = await Lab.open();
    await lab.ip(lab.node, `link set ${PARENT} down`);
    await lab.ip(lab.node, `link set ${PARENT} name eth0`);
    await lab.ip(lab.node, 'link set eth0 up');
    await settled(lab.node, ['eth0', PARENT_PEER]);
    lab.folder('var-lib/cni');
    return new ExampleNode(lab, await lab.pod(), example);
  }

  run(verb: string) {
    const { name, cniVersion, plugins } = this.example;
    const confDir = writeNetwork(this.lab, name, cniVersion, plugins);
    // nothing is read from or written to the machine's own folders
    const script = `mount --bind ${this.lab.dir}/var-lib /var/lib && exec "$0" "$@"`;
    const env = { CAP_ARGS: JSON.stringify({ mac: PARENT_MAC.replace(/^02/, '06') }) };
    return cnitool(this.lab, verb, name, this.pod, {
      confDir,
      ifName: 'eth0',
      env,
      side: OURS,
      wrapper: ['sh', '-c', script],
    });
  }

  async everything() {
    const files = Object.entries(filesIn(join(this.lab.dir, 'var-lib'))).filter(
      ([name]) => !/\/(lock|last_reserved_ip\.\d+|\.owners|sequence|kept-space\.\d|whereabouts-.*\.db.*|)$/.test(name),
    );
    return { pod: await stateOf(this.pod.name), node: await stateOf(this.lab.node), files };
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.lab[Symbol.asyncDispose]();
  }
}

/**
 * Two tests, through cnitool.
 *
 * @param path from the root of the project
 */
export function doesWhatItSays(path: string, expectation: Expectation): void {
  const example = JSON.parse(readFileSync(join(ROOT, path), 'utf8')) as Example;

  it('runs ADD, CHECK, DEL, DEL, and leaves nothing', async () => {
    await using node = await ExampleNode.open(example);
    const before = await node.everything();
    const added = await node.run('add');
    expect(added).toMatchObject({ exitCode: 0 });
    expect(JSON.parse(added.stdout)).toMatchObject({ cniVersion: example.cniVersion, ...expectation.result });
    expect(await node.run('check')).toMatchObject({ exitCode: 0, stdout: '' });
    expect(await node.run('del')).toMatchObject({ exitCode: 0, stdout: '' });
    await eventually(() => node.everything(), before);
    expect(await node.run('del')).toMatchObject({ exitCode: 0, stdout: '' });
    await eventually(() => node.everything(), before);
  });

  it('serves STATUS and GC when its version has them', async () => {
    await using node = await ExampleNode.open(example);
    const before = await stateOf(node.lab.node);
    expect(await node.run('status')).toMatchObject({ exitCode: 0 });
    expect(await node.run('add')).toMatchObject({ exitCode: 0 });
    expect(await node.run('gc')).toMatchObject({ exitCode: 0 }); // of cnitool: every attachment goes
    expect({
      pod: (await stateOf(node.pod.name)).links.map(({ ifname }) => ifname),
      node: (await stateOf(node.lab.node)).links.length,
    }).toEqual({ pod: ['lo'], node: before.links.length });
  });
}
