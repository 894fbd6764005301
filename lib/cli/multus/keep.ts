import { existsSync } from 'node:fs';
import { basename, dirname, join } from 'node:path';
import { CniError, messageOf } from '../../cni/errors.ts';
import { isObject, parseJson } from '../../cni/json.ts';
import type { Scope } from '../../cni/scope.ts';
import type { Access } from '../../kube/access.ts';
import { readInCluster } from '../../kube/in-cluster.ts';
import type { Env } from '../../sys/execute.ts';
import { lockFolder } from '../folder-lock.ts';
import { type GeneratedConf, LIST, multusConf, runsMultus, SINGLE } from './conf.ts';
import { bringFiles, contentOf, type WantedFile, type WantedFiles } from './files.ts';
import { kubeconfigText, whereaboutsFlatFile } from './kubeconfig.ts';
import { type MultusInstall, nodePath } from './options.ts';
import { findPrimary } from './primary.ts';
import { NOTHING, readConfRecord } from './record.ts';
import type { TokenFor } from './token.ts';

const TOKEN = 'multus.d/multus.token';
const KUBECONFIG = 'multus.d/multus.kubeconfig';
const WHEREABOUTS = 'whereabouts.d';

/** What one look at the node came to. */
export interface Look {
  /** names of the files that were changed */
  readonly changed: readonly string[];
  /** why the configuration of multus could not be made right; '' when it is */
  readonly lack: string;
}

export interface Keeping {
  readonly env: Env;
  readonly scope: Scope;
  /** false: the configuration is left as it is */
  readonly hasConf: boolean;
  readonly tokenFor: TokenFor;
  readonly sum: (text: string) => string;
}

/**
 * Looks at the node and makes its files right: token, kubeconfigs, and the configuration that runs multus. What cannot be
 * made right stays as it is.
 *
 * @throws CniError when a file cannot be read or written; what is written by then is whole
 */
export async function keepFiles(
  install: MultusInstall,
  { env, scope, hasConf, tokenFor, sum }: Keeping,
): Promise<Look> {
  const reading = await attempt(clusterAccess(install, env, tokenFor)); // others must not wait for a server
  using _lock = lockFolder(scope, install.confDir);
  const failures: unknown[] = [];
  const changed: string[] = [];
  try {
    const access = reading();
    changed.push(...bringFiles(install.confDir, credentials(install, access), sum));
  } catch (error) {
    failures.push(error);
  }
  // with the token of before, networks that need none go on
  const isNamedFileThere = failures.length === 0 || existsSync(join(install.confDir, KUBECONFIG));
  const conf = !hasConf ? undefined : isNamedFileThere ? confOf(install) : { lack: '' };
  if (conf !== undefined && 'files' in conf) {
    changed.push(...bringFiles(install.confDir, conf, sum));
  }
  if (failures.length > 0) {
    throw failures[0];
  }
  return { changed, lack: conf !== undefined && 'lack' in conf ? conf.lack : '' };
}

/** @returns what tells the outcome, in its turn */
async function attempt<T>(work: Promise<T>): Promise<() => T> {
  try {
    const value = await work;
    return () => value;
  } catch (error) {
    return () => {
      throw error;
    };
  }
}

/** undefined: outside a pod, where a kubeconfig of the node's own is named. */
async function clusterAccess(install: MultusInstall, env: Env, tokenFor: TokenFor): Promise<Access | undefined> {
  if ((env['KUBERNETES_SERVICE_HOST'] ?? '') === '' && install.isKubeconfigNamed) {
    const path = `${install.hostRoot}${install.kubeconfig}`;
    if (existsSync(path)) {
      return undefined;
    }
    throw new CniError('badEnv', `cannot use kubeconfig "${path}": there is no such file`);
  }
  const access = await readInCluster(env, install.serviceAccount);
  const trusting = install.isTlsUnverified
    ? { ...access, tls: { ...access.tls, ca: undefined, isUnverified: true } }
    : access;
  return { ...trusting, token: await tokenFor(trusting) };
}

/** The token comes first: a kubeconfig that names it must not be there without it. */
function credentials(install: MultusInstall, access: Access | undefined): WantedFiles {
  if (access?.token === undefined) {
    return { files: [], unwanted: [] };
  }
  const onNode = (name: string): string => nodePath(install.hostRoot, join(install.confDir, name));
  const tokenFile = onNode(TOKEN);
  const files: readonly WantedFile[] = [
    { name: TOKEN, content: access.token },
    { name: KUBECONFIG, content: kubeconfigText(access, tokenFile, { user: 'multus' }) },
  ];
  const { namespace } = access;
  const more: readonly WantedFile[] = [
    {
      name: `${WHEREABOUTS}/whereabouts.kubeconfig`,
      content: kubeconfigText(access, tokenFile, { user: 'whereabouts', namespace }),
    },
    { name: `${WHEREABOUTS}/whereabouts.conf`, content: whereaboutsFlatFile(onNode(WHEREABOUTS)) },
  ];
  return { files: install.hasWhereabouts ? [...files, ...more] : files, unwanted: [] };
}

function confOf(install: MultusInstall): WantedFiles | { readonly lack: string } {
  return install.confFile === undefined ? generatedConf(install) : copiedConf(install.confFile);
}

function generatedConf(install: MultusInstall): WantedFiles | { readonly lack: string } {
  const { autoconfigDir, confDir, primary: named } = install;
  const isSameFolder = autoconfigDir === confDir;
  const renamed = isSameFolder ? Object.values((readConfRecord(confDir) ?? NOTHING).renamed) : [];
  const primary = findPrimary(autoconfigDir, named, renamed);
  if (primary.state !== 'found') {
    const lack =
      primary.state === 'missing' ? primary.why : `cannot wrap "${join(autoconfigDir, primary.name)}": ${primary.why}`;
    return { lack };
  }
  let conf: GeneratedConf;
  try {
    conf = multusConf(primary.document, { ...install.settings, kubeconfig: install.kubeconfig });
  } catch (error) {
    return { lack: `cannot wrap "${join(autoconfigDir, primary.name)}": ${messageOf(error)}` };
  }
  const isRenamed = install.isPrimaryRenamed && isSameFolder && !renamed.includes(primary.name);
  return {
    files: [{ name: conf.name, content: conf.text }],
    unwanted: [conf.name === LIST ? SINGLE : LIST],
    rename: isRenamed ? { from: primary.name, to: `${primary.name}.old` } : undefined,
  };
}

/** A configuration that somebody else has written, under its own name. */
function copiedConf(path: string): WantedFiles | { readonly lack: string } {
  const content = contentOf(path);
  if (content === undefined) {
    return { lack: `cannot copy "${path}": there is no such file` };
  }
  try {
    const document = parseJson(content);
    if (isObject(document) && runsMultus(document)) {
      return { files: [{ name: basename(path), content }], unwanted: [] };
    }
    return { lack: `cannot copy "${path}": it does not run multus` };
  } catch (error) {
    return { lack: `cannot copy "${path}": ${messageOf(error)}` };
  }
}

/** Folders in which changes matter. */
export const foldersOf = ({ confDir, autoconfigDir, serviceAccount, confFile }: MultusInstall): readonly string[] => [
  ...new Set([
    confDir,
    join(confDir, 'multus.d'),
    autoconfigDir,
    serviceAccount,
    ...(confFile === undefined ? [] : [dirname(confFile)]),
  ]),
];
