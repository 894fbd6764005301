import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, describe, expect, it } from 'vitest';
import { messageOf } from '../cni/errors.ts';
import { readInCluster } from './in-cluster.ts';
import { readKubeconfig } from './kubeconfig.ts';

const folder = mkdtempSync(join(tmpdir(), 'braid-kubeconfig-'));
afterAll(() => rmSync(folder, { recursive: true }));

const PEM = '-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n';
const INLINE = Buffer.from(PEM).toString('base64');

function written(text: string): string {
  const path = join(folder, 'kubeconfig');
  writeFileSync(path, text);
  return path;
}

interface Parts {
  readonly cluster?: object;
  readonly user?: object;
  readonly context?: object;
}

/** JSON is YAML. */
const config = ({ cluster = {}, user = {}, context = {} }: Parts): string =>
  JSON.stringify({
    'current-context': 'c',
    contexts: [{ name: 'c', context: { cluster: 'k', user: 'u', ...context } }],
    clusters: [{ name: 'k', cluster: { server: 'https://192.0.2.1:6443', ...cluster } }],
    users: [{ name: 'u', user }],
  });

const read = (parts: Parts) => readKubeconfig(written(config(parts)));
const failure = async (text: string, context?: string): Promise<string> =>
  readKubeconfig(written(text), context).then(() => 'none', messageOf);

describe('readKubeconfig', () => {
  it('reads what an installer of whereabouts writes', async () => {
    const path = written(`# Kubeconfig file for a CNI plugin.
apiVersion: v1
kind: Config
clusters:
- name: local
  cluster:
    server: https://[fd00:10::1]:443
    certificate-authority-data: ${INLINE}
users:
- name: whereabouts
  user:
    token: "abc.def"
contexts:
- name: whereabouts-context
  context:
    cluster: local
    user: whereabouts
    namespace: kube-system
current-context: whereabouts-context
`);
    expect(await readKubeconfig(path)).toEqual({
      server: 'https://[fd00:10::1]:443'.replace(':443', ''),
      namespace: 'kube-system',
      tls: { ca: PEM, certificate: undefined, key: undefined, serverName: undefined, isUnverified: false },
      token: 'abc.def',
      origin: `kubeconfig "${path}"`,
    });
  });

  it('reads names that look like numbers, null, and YAML of every style', async () => {
    const path = written(
      'current-context: 007\ncontexts: [{name: 007, context: {cluster: 1e3, user: ~, namespace: }}]\nclusters: [{name: 1e3, cluster: {server: "http://localhost:8080/a/", insecure-skip-tls-verify: true}}]\n',
    );
    expect(await readKubeconfig(path)).toMatchObject({
      server: 'http://localhost:8080/a',
      namespace: undefined,
      token: undefined,
      tls: { isUnverified: true },
    });
  });

  it('reads files beside it, and prefers what is inline to a file but a file to a token', async () => {
    mkdirSync(join(folder, 'pki'), { recursive: true });
    for (const [name, text] of Object.entries({
      ca: `${PEM}ca`,
      cert: `${PEM}cert`,
      key: `${PEM}key`,
      token: ' t1\n',
    })) {
      writeFileSync(join(folder, 'pki', name), text);
    }
    const access = await read({
      cluster: { 'certificate-authority': 'pki/ca', 'tls-server-name': 'kubernetes' },
      user: {
        'client-certificate': join(folder, 'pki/cert'),
        'client-key': 'pki/nothing',
        'client-key-data': INLINE,
        token: 't0',
        tokenFile: 'pki/token',
      },
    });
    expect(access.tls).toEqual({
      ca: `${PEM}ca`,
      certificate: `${PEM}cert`,
      key: PEM,
      serverName: 'kubernetes',
      isUnverified: false,
    });
    expect(access.token).toBe('t1');
  });

  it('takes another context when told to', async () => {
    const other = { name: 'o', context: { cluster: 'k', namespace: 'other' } };
    const document = JSON.parse(config({ user: { token: 't' } })) as { contexts: object[] };
    document.contexts.push(other);
    expect(await readKubeconfig(written(JSON.stringify(document)), 'o')).toMatchObject({
      namespace: 'other',
      token: undefined,
    });
  });

  it.each([
    ['exec', { exec: { command: 'aws' } }],
    ['auth-provider', { 'auth-provider': { name: 'gcp' } }],
    ['username', { username: 'me', password: 'x' }],
    ['as', { token: 't', as: 'somebody' }],
  ])('refuses a user with "%s"', async (key, user) => {
    expect(await failure(config({ user }))).toBe(
      `cannot use kubeconfig "${folder}/kubeconfig": user "u" has "${key}", which is not supported: use a token, tokenFile, or client certificate`,
    );
  });

  it.each([
    ['{"kind": "Config"}', 'it has no current-context'],
    ['[]', 'the document must be an object'],
    ['', 'expected a document, but the input is empty'],
    ['a: {', 'line 1: unexpected end of the stream within a flow collection'],
    [config({}).replace('"name":"k"', '"name":"z"'), 'it has no cluster "k"'],
    [config({}).replace('"name":"u"', '"name":"z"'), 'it has no user "u"'],
    [config({}).replace('"current-context":"c"', '"current-context":"z"'), 'it has no context "z"'],
    [config({ context: { cluster: '' } }), 'context "c" has no "cluster"'],
    [config({ cluster: { server: null } }), 'its cluster has no "server"'],
    [config({ cluster: { server: '192.0.2.1:6443' } }), '"server" must be a URL that begins with https:// or http://'],
    [config({ cluster: { server: 'https://me:secret@192.0.2.1' } }), 'without a user and a query'],
    [config({ cluster: { 'proxy-url': 'http://p' } }), 'its cluster has "proxy-url", which is not supported'],
    [
      config({ cluster: { 'certificate-authority-data': 'AAAA' } }),
      '"certificate-authority-data" must be PEM in base64',
    ],
    [config({ cluster: { 'certificate-authority': '/no/ca' } }), 'cannot read "/no/ca": ENOENT'],
    [config({ user: { 'client-certificate-data': INLINE } }), 'a user needs both client-certificate and client-key'],
    [config({ user: { token: ['t'] } }), '"token" must be a text'],
    [config({ user: { token: 't\nX-Evil: 1' } }), '"token" has characters that no token has'],
    [config({ user: { tokenFile: '/no/token' } }), 'cannot read "/no/token": ENOENT'],
  ])('says what is wrong with %s', async (text, why) => {
    const message = await failure(text);
    expect(message).toContain(`cannot use kubeconfig "${folder}/kubeconfig": `);
    expect(message).toContain(why);
  });

  it('quotes no secret of a document that it cannot parse', async () => {
    expect(await failure('users:\n- name: u\n  user: {token: hush, token: hush}\n')).not.toContain('hush');
  });

  it('says when the file is not there', async () => {
    await expect(readKubeconfig('/no/kubeconfig')).rejects.toMatchObject({ code: 5 });
  });
});

describe('readInCluster', () => {
  const env = { KUBERNETES_SERVICE_HOST: 'fd00::1', KUBERNETES_SERVICE_PORT: '443' };

  it("reads a pod's own credentials", async () => {
    const account = join(folder, 'account');
    mkdirSync(account);
    for (const [name, text] of Object.entries({ 'ca.crt': PEM, namespace: 'mine\n', token: 't\n' })) {
      writeFileSync(join(account, name), text);
    }
    expect(await readInCluster(env, account)).toMatchObject({
      server: 'https://[fd00::1]:443',
      namespace: 'mine',
      token: 't',
      tls: { ca: PEM, isUnverified: false },
    });
  });

  it('says when it is no pod, or has no service account', async () => {
    await expect(readInCluster({})).rejects.toMatchObject({ code: 4 });
    await expect(readInCluster(env, join(folder, 'none'))).rejects.toThrow('/none/token": ENOENT');
  });
});
