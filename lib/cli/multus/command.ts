import { CniError, messageOf } from '../../cni/errors.ts';
import type { Scope } from '../../cni/scope.ts';
import { readInCluster } from '../../kube/in-cluster.ts';
import { type HealthAddress, type HealthServer, serveHealth } from '../../observe/health.ts';
import { makeMetrics } from '../../observe/metrics.ts';
import type { Program } from '../program.ts';
import { restoreFiles, textSum } from './files.ts';
import { foldersOf, keepFiles, type Look } from './keep.ts';
import { type MultusInstall, nodePath } from './options.ts';
import { onNode, pathOnNode } from './start-check.ts';
import { tokensOf } from './token.ts';
import { watchFolders } from './watch.ts';
import { isGoing } from './workloads.ts';

type Print = (line: string) => void;

const UNINSTALL_TIMEOUT_MS = 60_000;

/**
 * What `braid install --multus` does once the programs are there.
 *
 * @param stop ends the watching; undefined: one look is enough
 */
export async function keepNode(
  program: Program,
  install: MultusInstall,
  { scope, tell, stop }: { readonly scope: Scope; readonly tell: Print; readonly stop: AbortSignal | undefined },
): Promise<void> {
  const sum = await textSum();
  const tokenFor = tokensOf(install.account);
  const keep = (hasConf: boolean): Promise<Look> =>
    keepFiles(install, { env: program.env, scope, hasConf, tokenFor, sum });
  if (stop === undefined) {
    const { changed, lack } = await keep(true);
    report(install, changed, tell);
    if (lack !== '') {
      throw new CniError('internal', lack);
    }
    return;
  }
  await using health = makeHealth();
  if (install.address !== undefined) {
    await health.serve(install.address, tell);
  }
  let isConfMade = false;
  let said = '';
  const look = async (): Promise<boolean> => {
    let seen: Look;
    try {
      seen = await keep(!(install.isConfKept && isConfMade));
    } catch (error) {
      seen = { changed: [], lack: messageOf(error) };
    }
    report(install, seen.changed, tell);
    if (seen.lack !== said) {
      scope.log(seen.lack === '' ? 'the configuration of multus is right again' : seen.lack);
    }
    said = seen.lack;
    isConfMade ||= seen.lack === '';
    health.set(seen.lack === '');
    return seen.changed.length > 0;
  };
  await watchFolders({ folders: () => foldersOf(install), look, intervalMs: install.intervalMs, signal: stop });
  await leave(program, install, scope, tell);
}

function report({ confDir, hostRoot }: MultusInstall, changed: readonly string[], tell: Print): void {
  if (changed.length > 0) {
    tell(`changed in "${nodePath(hostRoot, confDir)}": ${changed.join(', ')}`);
  }
}

function makeHealth() {
  let isRight = false;
  let server: HealthServer | undefined;
  return {
    set: (now: boolean): void => {
      isRight = now;
    },
    serve: async (address: HealthAddress, tell: Print): Promise<void> => {
      server = await serveHealth(address, { standing: () => (isRight ? 'right' : undefined), metrics: makeMetrics() });
      tell(`serves /healthz, /readyz and /metrics on port ${server.port}`);
    },
    [Symbol.asyncDispose]: async (): Promise<void> => server?.[Symbol.asyncDispose](),
  };
}

/** An update must leave the node as it is: pods that start meanwhile would lack their networks. */
async function leave(program: Program, install: MultusInstall, scope: Scope, tell: Print): Promise<void> {
  const { daemonset, isCleanedUp } = install;
  const isUninstalled = daemonset !== undefined && (await isGone(program, install, daemonset, scope));
  if (!isUninstalled && !isCleanedUp) {
    tell('leaves the node as it is');
    return;
  }
  if (isUninstalled && install.hasPrograms) {
    await uninstallOnNode(program, install, scope, tell); // what it takes back from the cluster needs the token
  }
  const fates = restoreFiles(install.confDir, await textSum());
  if (fates !== undefined || !isUninstalled) {
    tell(
      `restored "${nodePath(install.hostRoot, install.confDir)}": ${Object.keys(fates ?? {}).join(', ') || 'nothing'}`,
    );
  }
}

async function isGone(
  { env }: Program,
  { serviceAccount }: MultusInstall,
  name: NonNullable<MultusInstall['daemonset']>,
  scope: Scope,
): Promise<boolean> {
  const answer = await isGoing(() => readInCluster(env, serviceAccount), name);
  if (typeof answer === 'string') {
    scope.log(`cannot tell whether DaemonSet "${name.namespace}/${name.name}" is deleted: ${answer}`);
    return false;
  }
  return answer;
}

/** On the node: attachments, whose DEL needs the plugins, are found in its folders, its runtime and namespaces. */
async function uninstallOnNode(
  { env }: Program,
  { bin, confDir, hostRoot }: MultusInstall,
  scope: Scope,
  tell: Print,
): Promise<void> {
  const folders = ['--bin', nodePath(hostRoot, bin), '--conf-dir', nodePath(hostRoot, confDir)];
  try {
    const [path, ...words] = onNode(hostRoot, `${bin}/braid`, env);
    const { exitCode, stdout, stderr } = await scope.execute({
      path,
      args: [...words, 'uninstall', ...folders],
      env: { PATH: pathOnNode(hostRoot, env) },
      stdin: Buffer.alloc(0),
      timeoutMs: UNINSTALL_TIMEOUT_MS,
    });
    if (exitCode === 0) {
      tell(stdout.toString('utf8').trimEnd());
    } else {
      scope.log(`the programs stay: ${stderr.toString('utf8').trimEnd()}`);
    }
  } catch (error) {
    scope.log(`the programs stay: ${messageOf(error)}`);
  }
}
