import { existsSync, readFileSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import * as z from 'zod/mini';
import { CniError, messageOf } from '../../cni/errors.ts';
import { temporaryFor, writeAtomically } from '../../sys/atomic-file.ts';
import { ioError, isMissing } from '../../sys/io-error.ts';

const FORMAT = 1;

/** Below the folder: a record must not lead out of it. */
const belowFolder = z.string().check(z.regex(/^(?!(.*\/)?\.{1,2}(\/|$))[^/]+(\/[^/]+)*$/));

const file = z.readonly(
  z.object({
    /** of what was written, and of what may still be there when the writing was interrupted */
    sha256: z.readonly(z.array(z.string())),
    /** somebody else's, which was there before, is kept under this name */
    before: z.exactOptional(belowFolder),
  }),
);

const recordFile = z.readonly(
  z.object({
    format: z.literal(FORMAT),
    files: z.readonly(z.record(belowFolder, file)),
    /** files of others that got another name: the new one by the old one, the last one last */
    renamed: z.readonly(z.record(belowFolder, belowFolder)),
    /** folders that were not there */
    folders: z.readonly(z.array(belowFolder)),
  }),
);

export type OwnFile = z.infer<typeof file>;

/** What install has done in the folder of network configurations. */
export type ConfRecord = Omit<z.infer<typeof recordFile>, 'format'>;

export const NOTHING: ConfRecord = { files: {}, renamed: {}, folders: [] };

/** Its name has no ending that runtimes look for. */
export const recordIn = (folder: string): string => join(folder, '.braid-install');

/**
 * @returns undefined when install has done nothing there
 * @throws CniError ioFailure
 */
export function readConfRecord(folder: string): ConfRecord | undefined {
  const path = recordIn(folder);
  let text: string;
  try {
    text = readFileSync(path, 'utf8');
  } catch (error) {
    if (isMissing(error)) {
      return undefined;
    }
    throw ioError('read', path, error);
  }
  const outcome = z.safeParse(recordFile, parsed(text, path));
  if (!outcome.success) {
    throw damaged(path, 'its content is invalid');
  }
  const { format: _, ...record } = outcome.data;
  return record;
}

function parsed(text: string, path: string): unknown {
  try {
    return JSON.parse(text);
  } catch (error) {
    throw damaged(path, messageOf(error));
  }
}

const damaged = (path: string, why: string): CniError =>
  new CniError('ioFailure', `cannot read "${path}": ${why}: move it away and reinstall`);

/** Has install done anything there? It may have been killed while it wrote the first record. */
export const hasBegun = (folder: string): boolean =>
  existsSync(recordIn(folder)) || existsSync(temporaryFor(recordIn(folder)));

/** @throws CniError ioFailure */
export const writeConfRecord = (folder: string, record: ConfRecord): void =>
  writeAtomically(recordIn(folder), `${JSON.stringify({ format: FORMAT, ...record }, null, 2)}\n`, { mode: 0o644 });

export const removeConfRecord = (folder: string): void => rmSync(recordIn(folder), { force: true });
