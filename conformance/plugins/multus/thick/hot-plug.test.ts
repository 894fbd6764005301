/** Interfaces of running pods, as multus-dynamic-networks-controller asks for them. */
import { describe, expect, it } from 'vitest';
import type { Pod } from '../../../lab/lab.ts';
import { stateOf } from '../../../lab/state.ts';
import { network } from '../../../resident/networks.ts';
import { type HttpOutcome, Thick } from './thick.ts';

const ARGS = 'K8S_POD_NAMESPACE=lab;K8S_POD_NAME=web-0;K8S_POD_UID=u1';
const OK = { exitCode: 0 };

/** A controller's request. */
const plugging = (verb: string, pod: Pod, conf: object, attributes: object = {}, ifName = 'net5'): object => ({
  env: {
    CNI_COMMAND: verb,
    CNI_CONTAINERID: 'c1',
    CNI_NETNS: pod.path,
    CNI_IFNAME: ifName,
    CNI_ARGS: ARGS,
  },
  config: Buffer.from(JSON.stringify(conf)).toString('base64'),
  interfaceAttributes: { ips: null, mac: '', 'cni-args': null, ...attributes },
});

const multus = (thick: Thick) => ({ cniVersion: '1.1.0', name: 'node', delegates: [network(thick.lab)] });

/** An agent, and a pod that it has attached. */
async function running(): Promise<{ readonly thick: Thick; readonly pod: Pod }> {
  const thick = await Thick.open();
  const pod = await thick.lab.pod();
  expect(await thick.shim({ verb: 'ADD', netns: pod.path, conf: multus(thick) })).toMatchObject(OK);
  return { thick, pod };
}

const capable = (thick: Thick) => ({ ...network(thick.lab, 1), capabilities: { ips: true, mac: true } });

describe('an interface of a running pod', () => {
  it('is plugged with what is asked for, checked, and unplugged without a trace', async () => {
    const { thick, pod } = await running();
    await using _ = thick;
    const before = await thick.everything(pod);
    const conf = capable(thick);
    const plug = await thick.ask('/delegate', plugging('ADD', pod, conf, { mac: '02:00:00:00:00:55' }));
    expect(plug).toMatchObject({ status: 200 });
    expect(JSON.parse(plug.body)).toEqual({
      Result: {
        cniVersion: '1.1.0',
        interfaces: [{ name: 'net5', mac: '02:00:00:00:00:55', sandbox: pod.path }],
        ips: [{ address: '10.5.1.1/24', interface: 0 }],
      },
    });
    const { links, addresses } = await stateOf(pod.name);
    expect(links.map(({ ifname, address }) => [ifname, address])).toContainEqual(['net5', '02:00:00:00:00:55']);
    expect(JSON.stringify(addresses)).toContain('10.5.1.1');
    const plugged = await thick.everything(pod);
    expect(plugged.files.filter(([name]) => name === 'c1')).toEqual(before.files.filter(([name]) => name === 'c1'));
    for (const verb of ['CHECK', 'STATUS', 'DEL', 'DEL']) {
      expect(await thick.ask('/delegate', plugging(verb, pod, conf)), verb).toMatchObject({ status: 200, body: '' });
    }
    expect(await thick.everything(pod)).toEqual(before);
    expect(await thick.shim({ verb: 'DEL', netns: pod.path, conf: multus(thick) })).toMatchObject(OK);
  });

  it('is refused over one that is there, and when it cannot be made: the pod keeps what it has', async () => {
    const { thick, pod } = await running();
    await using _ = thick;
    const before = await thick.everything(pod);
    const refused: readonly HttpOutcome[] = [
      await thick.ask('/delegate', plugging('ADD', pod, capable(thick), {}, 'eth0')),
      await thick.ask('/delegate', plugging('ADD', pod, { ...capable(thick), master: 'nobody' })),
      await thick.ask('/delegate', plugging('ADD', pod, { ...capable(thick), type: 'multus-shim' })),
    ];
    expect(refused.map(({ status }) => status)).toEqual([400, 400, 400]);
    expect(refused[0]?.body).toContain('ERRORED: error configuring pod [lab/web-0] networking: ');
    expect(await thick.everything(pod)).toEqual(before);
  });

  it('of ten that are plugged and unplugged at once leaves nothing', async () => {
    const { thick, pod } = await running();
    await using _ = thick;
    const before = await thick.everything(pod);
    for (const verb of ['ADD', 'DEL']) {
      const all = Array.from({ length: 10 }, (_one, index) =>
        thick.ask('/delegate', plugging(verb, pod, capable(thick), {}, `hot${index}`)),
      );
      expect((await Promise.all(all)).map(({ status }) => status)).toEqual(new Array(10).fill(200));
      expect((await thick.linksOf(pod)).length).toBe(verb === 'ADD' ? 12 : 2);
    }
    expect(await thick.everything(pod)).toEqual(before);
  });

  it('that nobody unplugs goes with its pod by GC', async () => {
    const { thick, pod } = await running();
    await using _ = thick;
    expect(await thick.ask('/delegate', plugging('ADD', pod, capable(thick)))).toMatchObject({ status: 200 });
    expect(await thick.shim({ verb: 'DEL', netns: pod.path, conf: multus(thick) })).toMatchObject(OK);
    await thick.lab.remove(pod);
    const conf = { ...multus(thick), 'cni.dev/valid-attachments': [] };
    expect(await thick.shim({ verb: 'GC', conf })).toMatchObject(OK);
    const next = await thick.lab.pod();
    const plug = await thick.ask('/delegate', plugging('ADD', next, capable(thick)));
    expect(JSON.parse(plug.body)).toMatchObject({ Result: { ips: [{ address: '10.5.1.1/24' }] } });
  });
});
