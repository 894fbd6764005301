import { rememberingTexts } from '../sys/remember.ts';
import { CniError, messageOf } from './errors.ts';
import { compact, isObject, type JsonObject, parseJson, withPlainIntegers } from './json.ts';

/** What a plugin reads: a document and its bytes. Whichever is not there is made when somebody asks for it. */
export class Stdin {
  private ownBytes: Buffer | undefined;
  private ownDocument: JsonObject | undefined;

  private constructor(bytes: Buffer | undefined, document: JsonObject | undefined) {
    this.ownBytes = bytes;
    this.ownDocument = document;
  }

  /** What somebody has sent. */
  static of(bytes: Buffer): Stdin {
    return new Stdin(bytes, undefined);
  }

  /** What is sent to a plugin of this process, which needs no bytes. */
  static saying(document: JsonObject): Stdin {
    return new Stdin(undefined, document);
  }

  get bytes(): Buffer {
    this.ownBytes ??= Buffer.from(compact(this.document));
    return this.ownBytes;
  }

  /**
   * Equal ones of several calls may be one object.
   *
   * @throws CniError decodeFailure, when the bytes are no document
   */
  get document(): JsonObject {
    this.ownDocument ??= documentIn(this.bytes.toString('utf8'));
    return this.ownDocument;
  }

  /** The document with integers only where Go reads them as such; see `withPlainIntegers`. */
  get plainDocument(): JsonObject {
    const isPlain = this.ownBytes === undefined && !Object.values(this.document).some(hasExponent);
    return isPlain ? this.document : withPlainIntegers(this.document, this.bytes.toString('utf8'));
  }
}

/** Would an integer be written with an exponent? */
const hasExponent = (value: unknown): boolean => Number.isInteger(value) && Math.abs(value as number) >= 1e21;

/** What only one attachment has makes the text its own. */
const OWN = '"prevResult"';

const documentIn = (text: string): JsonObject => (text.includes(OWN) ? parseDocument(text) : knownDocument(text));

/** The same networks are attached to many pods. */
const knownDocument = rememberingTexts(parseDocument);

const BYTE_ORDER_MARK = '\ufeff';

function parseDocument(text: string): JsonObject {
  if (text.startsWith(BYTE_ORDER_MARK)) {
    throw new CniError('decodeFailure', 'cannot read the network configuration: it begins with a byte order mark');
  }
  let value: unknown;
  try {
    value = parseJson(text);
  } catch (error) {
    throw new CniError('decodeFailure', `cannot read the network configuration: ${messageOf(error)}`);
  }
  if (value === null) {
    return {};
  }
  if (!isObject(value)) {
    throw new CniError('decodeFailure', 'cannot read the network configuration: it is not a JSON object');
  }
  return value;
}
