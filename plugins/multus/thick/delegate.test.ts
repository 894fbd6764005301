import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { readConf } from '../../../lib/cni/config.ts';
import { CniError } from '../../../lib/cni/errors.ts';
import { type FakeNode, fakeNode } from '../../../lib/cni/testing/fake-node.ts';
import { CommonConf } from '../config.ts';
import { multus } from '../plugin.ts';
import { delegatePlugin } from './delegate.ts';
import { answerTo } from './handlers.ts';
import type { InterfaceAttributes } from './request.ts';

const LAN = { cniVersion: '1.0.0', name: 'lan', type: 'alpha', capabilities: { ips: true, mac: true } };
const NONE: InterfaceAttributes = { ips: [], mac: '', cniArgs: undefined };
const CNI_ARGS = 'IgnoreUnknown=1;K8S_POD_NAMESPACE=demo;K8S_POD_NAME=web;K8S_POD_UID=U1';

function pluginOf(node: FakeNode, attributes = NONE, told: string[] = []) {
  const common = readConf(CommonConf, { cniDir: node.cniDir, binDir: node.binDir });
  return delegatePlugin({ common, attributes, tell: ({ message }) => told.push(message) });
}

const run = (
  node: FakeNode,
  verb: 'ADD' | 'DEL' | 'CHECK' | 'STATUS' | 'GC',
  document: object = LAN,
  attributes = NONE,
) => node.run(pluginOf(node, attributes), verb, document, { CNI_IFNAME: 'net3', CNI_ARGS });

describe('a network of a running pod', () => {
  it('is attached as asked, recorded for CHECK and DEL, and in no scratch file', async () => {
    using node = fakeNode();
    const attributes = { ips: ['10.9.0.7/24'], mac: '02:00:00:00:00:07', cniArgs: { room: 'a' } };
    const { stdout, exitCode } = await run(node, 'ADD', LAN, attributes);
    expect([exitCode, JSON.parse(stdout)]).toEqual([
      0,
      { cniVersion: '1.0.0', interfaces: [{ name: 'net3', sandbox: node.netnsPath }] },
    ]);
    const [seen] = node.seen;
    expect(JSON.parse(seen?.stdin ?? '')).toEqual({
      ...LAN,
      args: { cni: { room: 'a' } },
      runtimeConfig: { ips: ['10.9.0.7/24'], mac: '02:00:00:00:00:07' },
    });
    expect(seen?.env['CNI_ARGS']).toContain(';MAC=02:00:00:00:00:07;IP=10.9.0.7/24');
    expect(Object.keys(node.files())).toEqual(['results/lan-C1-net3']);
    expect((await run(node, 'CHECK')).exitCode).toBe(0);
    expect((await run(node, 'DEL')).exitCode).toBe(0);
    expect(node.log()).toEqual(['ADD alpha net3', 'CHECK alpha net3', 'DEL alpha net3']);
    expect([node.files(), [...node.links]]).toEqual([{}, []]);
  });

  it('is not collected while it is not recorded: GC waits for it, and it for GC', async () => {
    using node = fakeNode();
    const held: string[] = [];
    node.fail = (verb) => {
      const attempt = existsSync(join(node.cniDir, '._gc.lock')) ? 'locked' : 'free';
      held.push(`${verb}: ${attempt}`);
      return undefined;
    };
    await run(node, 'ADD');
    const valid = { 'cni.dev/valid-attachments': [{ containerID: 'C1', ifname: 'eth0' }] };
    const { cniDir, binDir } = node;
    const own = { cniVersion: '1.1.0', name: 'multus', type: 'multus', cniDir, binDir };
    await node.run(multus, 'GC', { ...own, delegates: [{ ...LAN, cniVersion: '1.1.0' }], ...valid });
    expect(held).toEqual(['ADD: locked', 'GC: locked']);
    expect(existsSync(join(node.cniDir, '._gc.lock'))).toBe(false);
  });

  it('is told of', async () => {
    using node = fakeNode();
    node.answer = (_, { ifName }) => ({ interfaces: [{ name: ifName }], ips: [{ address: '10.9.0.7/24' }] });
    const told: string[] = [];
    await node.run(pluginOf(node, NONE, told), 'ADD', LAN, { CNI_IFNAME: 'net3', CNI_ARGS });
    expect(told).toEqual(['Add net3 [10.9.0.7/24] from lan']);
  });

  it('that fails is taken back; DEL tells of its failures', async () => {
    using node = fakeNode();
    node.fail = (verb) => (verb === 'ADD' || node.seen.length > 2 ? new CniError(11, 'not now') : undefined);
    expect(JSON.parse((await run(node, 'ADD')).stdout)).toEqual({
      code: 11,
      msg: '[demo/web/U1:lan]: error adding container to network "lan": plugin type="alpha" name="lan" failed (add): not now',
    });
    expect(node.log()).toEqual(['ADD alpha net3', 'DEL alpha net3']);
    expect(JSON.parse((await run(node, 'DEL')).stdout)).toMatchObject({ code: 11 });
  });

  it('is not attached over an interface that is there', async () => {
    using node = fakeNode();
    node.links.add('net3');
    expect((await run(node, 'ADD')).stdout).toContain('cannot add interface \\"net3\\": it already exists');
    expect([node.log(), [...node.links]]).toEqual([[], ['net3']]);
  });

  it.each([
    [{ mac: '00' }, 'failed to mac'],
    [{ ips: ['10.0.0.1', '10.0.0.1/33'] }, 'failed to parse CIDR'],
    [{ ips: ['ten'] }, 'failed to parse IP address'],
  ])('is not attached with %j', async (wrong, words) => {
    using node = fakeNode();
    const { stdout } = await run(node, 'ADD', LAN, { ...NONE, ...wrong });
    expect(JSON.parse(stdout)).toMatchObject({ code: 7, msg: expect.stringContaining(words) });
    expect([node.log(), [...node.links]]).toEqual([[], []]);
  });

  it('may be asked for its status, but knows nothing of others', async () => {
    using node = fakeNode();
    const newest = { ...LAN, cniVersion: '1.1.0' };
    expect((await run(node, 'STATUS', newest)).exitCode).toBe(0);
    expect(node.log()).toEqual(['STATUS alpha']);
    expect(node.seen[0]?.env).toMatchObject({ CNI_IFNAME: '', CNI_ARGS: '' });
    expect((await run(node, 'GC', newest)).stdout).toContain('send GC to /cni');
    const { name: _, ...nameless } = LAN;
    expect(JSON.parse((await run(node, 'ADD', nameless)).stdout)).toMatchObject({ code: 7 });
    expect((await run(node, 'ADD', { ...LAN, type: 'multus' })).stdout).toContain('multus would call itself');
  });

  it('is reached over HTTP', async () => {
    using node = fakeNode();
    const env = { CNI_COMMAND: 'ADD', CNI_CONTAINERID: 'C1', CNI_NETNS: node.netnsPath, CNI_IFNAME: 'net3', CNI_ARGS };
    const body = { env, config: Buffer.from(JSON.stringify(LAN)).toString('base64') };
    const answer = await answerTo(
      {
        run: () => Promise.reject(new Error('not asked')),
        runDelegate: (given, config, attributes) =>
          node.run(pluginOf(node, attributes), 'ADD', config.toString(), given),
        podUid: () => Promise.reject(new Error('not asked')),
        isShuttingDown: () => false,
        cniPath: node.binDir,
        overlay: {},
      },
      { method: 'POST', path: '/delegate', body: Buffer.from(JSON.stringify(body)) },
    );
    expect(answer).toMatchObject({
      status: 200,
      body: '{"Result":{"cniVersion":"1.1.0","interfaces":[{"name":"net3","sandbox":"/run/netns/n1"}]}}',
    });
  });
});
