import { describe, expect, it } from 'vitest';
import type { JsonObject } from '../../../lib/cni/json.ts';
import type { Outcome } from '../../../lib/cni/run.ts';
import type { HttpAnswer } from '../../../lib/cni/service.ts';
import type { Env } from '../../../lib/sys/execute.ts';
import { answerTo, type Serving } from './handlers.ts';

const ARGS = 'IgnoreUnknown=1;K8S_POD_NAMESPACE=demo;K8S_POD_NAME=web;K8S_POD_INFRA_CONTAINER_ID=C1;K8S_POD_UID=U1';
const ENV = {
  CNI_COMMAND: 'ADD',
  CNI_CONTAINERID: 'C1',
  CNI_NETNS: '/run/netns/n1',
  CNI_IFNAME: 'eth0',
  CNI_ARGS: ARGS,
  CNI_PATH: '/elsewhere',
  HOME: '/root',
};
const CONF = { cniVersion: '1.0.0', name: 'multus-cni-network', type: 'multus-shim' };

const base64 = (document: unknown): string => Buffer.from(JSON.stringify(document)).toString('base64');
const succeeded = (stdout = ''): Outcome => ({ stdout, stderr: '', exitCode: 0 });
const failed = (error: JsonObject): Outcome => ({ stdout: JSON.stringify(error), stderr: '', exitCode: 1 });

interface Ran {
  readonly how: 'multus' | 'delegate';
  readonly env: Env;
  readonly stdin: JsonObject;
  readonly attributes?: unknown;
}

function serving(outcome: Outcome = succeeded(), more: Partial<Serving> = {}) {
  const ran: Ran[] = [];
  const all: Serving = {
    run: async (env, stdin) => {
      ran.push({ how: 'multus', env, stdin: JSON.parse(stdin.toString()) });
      return outcome;
    },
    runDelegate: async (env, config, attributes) => {
      ran.push({ how: 'delegate', env, stdin: JSON.parse(config.toString()), attributes });
      return outcome;
    },
    podUid: async () => 'U2',
    isShuttingDown: () => false,
    cniPath: '/opt/cni/bin',
    overlay: {},
    ...more,
  };
  const ask = (path: string, body: unknown = '', method = 'POST'): Promise<HttpAnswer> =>
    answerTo(all, { method, path, body: Buffer.from(typeof body === 'string' ? body : JSON.stringify(body)) });
  const call = (env: Record<string, string | undefined> = {}, route = '/cni', rest: object = {}): Promise<HttpAnswer> =>
    ask(route, { env: { ...ENV, ...env }, config: base64(CONF), ...rest });
  return { ran, ask, call };
}

const TEXT = { 'Content-Type': 'text/plain; charset=utf-8', 'X-Content-Type-Options': 'nosniff' };
const refused = (text: string): HttpAnswer => ({ status: 400, headers: TEXT, body: `${text}\n` });
const EMPTY: HttpAnswer = { status: 200, headers: {}, body: '' };

const RESULT = {
  cniVersion: '0.4.0',
  interfaces: [{ name: 'eth0', sandbox: '/run/netns/n1' }],
  ips: [{ version: '4', interface: 0, address: '10.9.0.5/24' }],
  dns: {},
};

describe('health', () => {
  it('is answered to GET and POST', async () => {
    for (const path of ['/healthz', '/readyz', '/readyz?timeout=1s']) {
      for (const method of ['GET', 'POST']) {
        expect(await serving().ask(path, 'any body', method)).toEqual(EMPTY);
      }
    }
    const wrong = { status: 405, headers: TEXT, body: 'Method not allowed\n' };
    expect(await serving().ask('/healthz', '', 'DELETE')).toEqual(wrong);
    expect(await serving().ask('/cni', '', 'GET')).toEqual(wrong);
    expect(await serving().ask('/delegate', '', 'PUT')).toEqual(wrong);
  });

  it('is not ready any more during shutdown', async () => {
    const { ask } = serving(succeeded(), { isShuttingDown: () => true });
    expect(await ask('/readyz')).toEqual({ status: 500, headers: TEXT, body: 'shutting down\n' });
    expect(await ask('/healthz')).toEqual(EMPTY);
  });

  it.each(['/', '/cni/', '/metrics', '/__proto__', 'constructor'])('has no page %j', async (path) => {
    expect(await serving().ask(path)).toEqual({ status: 404, headers: {}, body: '' });
  });
});

describe('a call of a shim', () => {
  it('is run with the variables of the contract only, and answered with a result of the newest version', async () => {
    const { ran, call } = serving(succeeded(JSON.stringify(RESULT)));
    expect(await call()).toEqual({
      status: 200,
      headers: { 'Content-Type': 'application/json' },
      body: '{"Result":{"cniVersion":"1.1.0","interfaces":[{"name":"eth0","sandbox":"/run/netns/n1"}],"ips":[{"address":"10.9.0.5/24","interface":0}]}}',
    });
    const { CNI_PATH: _, HOME: _home, ...env } = ENV;
    expect(ran).toEqual([{ how: 'multus', env: { ...env, CNI_PATH: '/opt/cni/bin' }, stdin: CONF }]);
  });

  it.each(['DEL', 'CHECK'])('is answered with nothing when %s succeeds', async (verb) => {
    const { ran, call } = serving();
    expect(await call({ CNI_COMMAND: verb })).toEqual(EMPTY);
    expect(ran[0]?.env['CNI_COMMAND']).toBe(verb);
  });

  it.each(['STATUS', 'GC'])('needs nothing but the command for %s', async (verb) => {
    const { ran, ask, call } = serving();
    expect(await ask('/cni', { env: { CNI_COMMAND: verb }, config: base64(CONF) })).toEqual(EMPTY);
    expect(await call({ CNI_COMMAND: verb, CNI_ARGS: '' })).toEqual(EMPTY);
    expect(await call({ CNI_COMMAND: verb, CNI_ARGS: 'no pair' })).toEqual(EMPTY);
    const env = { CNI_COMMAND: verb, CNI_PATH: '/opt/cni/bin' };
    expect(ran.map((one) => one.env)).toEqual([env, env, env]);
  });

  it('may leave out the interface, and have empty variables', async () => {
    const { ran, call } = serving();
    await call({ CNI_COMMAND: 'DEL', CNI_NETNS: '', CNI_IFNAME: undefined });
    expect(ran[0]?.env).toMatchObject({ CNI_NETNS: '', CNI_IFNAME: 'eth0' });
  });

  it('may have its configuration in lines', async () => {
    const { ran, ask } = serving();
    await ask('/cni', { env: { CNI_COMMAND: 'STATUS' }, config: base64(CONF).replace(/.{20}/g, '$&\r\n') });
    expect(ran[0]?.stdin).toEqual(CONF);
  });

  it('is about a pod whose UID is asked for where it is missing; DEL does without', async () => {
    const args = 'K8S_POD_NAMESPACE=demo;K8S_POD_NAME=web';
    const { ran, call } = serving();
    await call({ CNI_COMMAND: 'CHECK', CNI_ARGS: args, K8S_POD_INFRA_CONTAINER_ID: 'C1' });
    expect(ran[0]?.env['CNI_ARGS']).toBe(`IgnoreUnknown=true;${args};K8S_POD_INFRA_CONTAINER_ID=C1;K8S_POD_UID=U2`);
    const unknown = serving(succeeded(), { podUid: () => Promise.reject(new Error('pods "web" not found')) });
    expect(await unknown.call({ CNI_COMMAND: 'CHECK', CNI_ARGS: args })).toEqual(
      refused('cannot find the UID of pod "demo/web": pods "web" not found'),
    );
    expect(await unknown.call({ CNI_COMMAND: 'DEL', CNI_ARGS: args })).toEqual(EMPTY);
    expect(unknown.ran[0]?.env['CNI_ARGS']).toBe(`IgnoreUnknown=true;${args}`);
  });

  it('has the keys of the agent over those of its configuration', async () => {
    const { ran, call } = serving(succeeded(), { overlay: { cniVersion: '0.3.1', confDir: '/etc/n' } });
    await call({ CNI_COMMAND: 'DEL' });
    expect(ran[0]?.stdin).toEqual({ ...CONF, cniVersion: '0.3.1', confDir: '/etc/n' });
    await call({ CNI_COMMAND: 'DEL' }, '/delegate');
    expect(ran[1]?.stdin).toEqual(CONF);
  });

  it('that fails keeps a code of its own where it is about no pod', async () => {
    const error = { code: 50, msg: 'plugin not ready', details: 'x<y' };
    for (const verb of ['STATUS', 'GC']) {
      expect(await serving(failed(error)).call({ CNI_COMMAND: verb })).toEqual({
        status: 400,
        headers: { 'Content-Type': 'application/json' },
        body: `{"code":50,"msg":"plugin not ready","details":"x\\u003cy"}`,
      });
    }
  });

  const printed = `ContainerID:"C1" Netns:"/run/netns/n1" IfName:"eth0" Args:"${ARGS}" Path:"" ERRORED: `;

  it.each([999, 11])('that fails for a pod, with code %i, is told of in the words of the daemon', async (code) => {
    const error = { code, msg: '[demo/web/U1:b]: error adding container to network "b": broken' };
    const words = `${printed}error configuring pod [demo/web] networking: ${error.msg}`;
    expect(await serving(failed(error)).call()).toEqual(refused(words));
    expect(await serving(failed({ ...error, details: 'EIO' })).call()).toEqual(refused(`${words}; EIO`));
    for (const verb of ['CHECK', 'DEL']) {
      expect(await serving(failed(error)).call({ CNI_COMMAND: verb })).toEqual(refused(`${printed}${error.msg}`));
    }
  });

  it('that fails without a code is told of in the same words where it is about no pod', async () => {
    const nobody = 'ContainerID:"" Netns:"" IfName:"" Args:"" Path:"" ERRORED: ';
    const error = { code: 999, msg: 'broken' };
    expect(await serving(failed(error)).call({ CNI_COMMAND: 'GC' })).toEqual(refused(`${nobody}broken`));
    const outcome: Outcome = { stdout: '{}', stderr: '', exitCode: 1 };
    expect(await serving(outcome).call({ CNI_COMMAND: 'GC' })).toEqual(refused(`${nobody}{}`));
  });

  it.each([
    ['', 'cannot read the request: Unexpected end of JSON input'],
    ['[]', 'cannot read the request: it is not an object'],
    ['{}', 'CNI_COMMAND is missing'],
    [{ env: [] }, 'cannot read the request: "env": [] is not an object'],
    [{ env: { CNI_COMMAND: 1 } }, 'cannot read the request: "env.CNI_COMMAND": 1 is not a string'],
    [{ env: { CNI_COMMAND: 'add' } }, 'CNI_COMMAND "add" is not known'],
    [{ env: { ...ENV, CNI_CONTAINERID: undefined } }, 'CNI_CONTAINERID is missing'],
    [{ env: { ...ENV, CNI_NETNS: undefined } }, 'CNI_NETNS is missing'],
    [{ env: { ...ENV, CNI_ARGS: undefined } }, 'CNI_ARGS is missing'],
    [{ env: { ...ENV, CNI_ARGS: '' } }, 'cannot use CNI_ARGS: K8S_POD_NAMESPACE is missing'],
    [
      { env: { ...ENV, CNI_ARGS: 'K8S_POD_NAMESPACE=a;K8S_POD_NAME=' } },
      'cannot use CNI_ARGS: K8S_POD_NAME is missing',
    ],
    [{ env: { ...ENV, CNI_ARGS: 'a=b=c' } }, 'cannot use CNI_ARGS: invalid pair "a=b=c"'],
    [{ env: ENV, config: 'a' }, 'cannot read the request: "config": "a" is not base64'],
    [{ env: ENV, config: 7 }, 'cannot read the request: "config": 7 is not base64'],
    [
      { env: ENV, config: '', interfaceAttributes: { ips: '10.0.0.1' } },
      'cannot read the request: "interfaceAttributes.ips": "10.0.0.1" is not a list of strings',
    ],
  ])('that is none is refused: %j', async (body, text) => {
    const { ran, ask } = serving();
    expect(await ask('/cni', body)).toEqual(refused(text));
    expect(ran).toEqual([]);
  });

  it('whose configuration is none is refused where it would be changed', async () => {
    const { ask } = serving(succeeded(), { overlay: { logLevel: 'debug' } });
    expect(await ask('/cni', { env: ENV, config: base64([]) })).toEqual(
      refused('cannot read the configuration: it is not an object'),
    );
  });
});

describe('a call for one interface of a running pod', () => {
  it('is run with its attributes', async () => {
    const { ran, call } = serving(succeeded(JSON.stringify(RESULT)));
    const attributes = { ips: ['10.9.0.7/24'], mac: '02:00:00:00:00:07', 'cni-args': { a: 1 } };
    const { status, body } = await call({ CNI_IFNAME: 'net3' }, '/delegate', { interfaceAttributes: attributes });
    expect([status, JSON.parse(body).Result.cniVersion]).toEqual([200, '1.1.0']);
    expect(ran).toMatchObject([
      {
        how: 'delegate',
        env: { CNI_IFNAME: 'net3' },
        stdin: CONF,
        attributes: { ips: ['10.9.0.7/24'], mac: '02:00:00:00:00:07', cniArgs: { a: 1 } },
      },
    ]);
  });

  it('may have none', async () => {
    const { ran, call } = serving();
    for (const interfaceAttributes of [undefined, null, { ips: null, mac: null, 'cni-args': null }]) {
      expect(await call({ CNI_COMMAND: 'DEL' }, '/delegate', { interfaceAttributes })).toEqual(EMPTY);
    }
    expect(ran.map(({ attributes }) => attributes)).toEqual(
      new Array(3).fill({ ips: [], mac: '', cniArgs: undefined }),
    );
  });
});
