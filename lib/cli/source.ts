import { existsSync, readFileSync } from 'node:fs';
import { basename, dirname, join } from 'node:path';
import { CniError } from '../cni/errors.ts';
import { MARK_BYTES, markOf, readMark } from '../sys/build-id.ts';
import { ioError } from '../sys/io-error.ts';
import { sha256, sha256Of } from './checksum.ts';
import type { Form, InstalledForm, Program } from './program.ts';

/** A file to install, under some names. */
export interface Source {
  /** of the file that it is in */
  readonly path: string;
  /** when it is not all of that file */
  readonly content?: Uint8Array;
  readonly sha256: string;
}

/** What a form is installed from. */
export interface Sources {
  /** of the command line, and of plugins without an agent */
  readonly program: Source;
  /** of plugins */
  readonly plugin: Source;
  /** a phrase: how they were verified */
  readonly proof: string;
}

/**
 * What to install. Programs carry the launcher, so that one file is enough for the resident form.
 *
 * @throws CniError when it is missing or has changed
 */
export async function findSources(program: Program, form: InstalledForm): Promise<Sources> {
  const { proof, ...source } = await findProgram(program, form === 'resident' ? 'standalone' : form);
  if (form !== 'resident') {
    return { program: source, plugin: source, proof };
  }
  const content = program.launcher();
  return { program: source, plugin: { path: source.path, content, sha256: await sha256Of(content) }, proof };
}

/**
 * The program itself, or its other form from the neighbouring folder. It must match SHA256SUMS where shipped, and be of
 * the same build in any case.
 */
async function findProgram(program: Program, form: Form): Promise<Source & Pick<Sources, 'proof'>> {
  const path = form === program.form ? program.file : join(dirname(program.folder), form, 'braid');
  if (!existsSync(path)) {
    throw new CniError('internal', `cannot install the ${form} form: "${path}" is missing`);
  }
  if (readMark(path)?.equals(markOf(program.id)) !== true) {
    throw new CniError('internal', `cannot install "${path}": it does not end with the mark of build ${program.id}`);
  }
  const sum = await sha256(path);
  const listed = listedSums(program, form);
  if (listed !== undefined && !listed.sums.includes(sum)) {
    throw new CniError('internal', `cannot install "${path}": its checksum differs from "${listed.path}"`);
  }
  const proof = listed === undefined ? `has the mark of build ${program.id.slice(0, 8)}` : 'matches SHA256SUMS';
  return { path, sha256: sum, proof };
}

/** Whether the file is a program of any of our builds. */
export const isOurs = (path: string): boolean => hasMark(path, '');

/** Whether the file is a launcher of any of our builds. */
export const isLauncher = (path: string): boolean => hasMark(path, 'launcher-');

function hasMark(path: string, id: string): boolean {
  const start = markOf(id).subarray(0, MARK_BYTES).toString('latin1').trimEnd();
  return readMark(path)?.toString('latin1').startsWith(start) ?? false;
}

/** SHA256SUMS is next to the form's folder, with that folder in its lines, or inside it. */
function listedSums(
  { folder }: Program,
  form: Form,
): { readonly path: string; readonly sums: readonly string[] } | undefined {
  const path = [join(dirname(folder), 'SHA256SUMS'), join(folder, 'SHA256SUMS')].find(existsSync);
  if (path === undefined) {
    return undefined;
  }
  try {
    const lines = readFileSync(path, 'utf8')
      .split('\n')
      .map((line) => /^([0-9a-f]{64}) [ *](.+)$/.exec(line));
    const ofForm = lines.filter((line) => line !== null && [form, '.'].includes(basename(dirname(line[2] ?? ''))));
    return { path, sums: ofForm.map((line) => line?.[1] ?? '') };
  } catch (error) {
    throw ioError('read', path, error);
  }
}
