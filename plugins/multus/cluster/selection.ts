import { CniError, messageOf, quoted } from '../../../lib/cni/errors.ts';
import { isObject, type Json, type JsonObject, lookUp, parseJson } from '../../../lib/cni/json.ts';
import { parseCidr } from '../../../lib/net/cidr.ts';
import { parseIp } from '../../../lib/net/ip.ts';
import { parseMac } from '../../../lib/net/mac.ts';
import type { Requests } from '../runtime-args.ts';

/** A network that a pod asks for in an annotation, and how. */
export interface NetworkSelection {
  readonly namespace: string;
  readonly name: string;
  readonly requests: Requests;
  /** for `args.cni` of its configuration */
  readonly cniArgs: JsonObject | undefined;
}

/** The elements in JSON; anything else is the short form. */
const JSON_MARKS = /[[{"]/;

/**
 * Reads `k8s.v1.cni.cncf.io/networks`, or another annotation of that form: `[namespace/]name[@interface]`, separated by
 * commas, or a list in JSON.
 *
 * @param namespace where an element names none
 * @throws CniError invalidNetworkConfig, decodeFailure; with the phrases that others look for
 */
export const parseSelections = (annotation: string, namespace: string): readonly NetworkSelection[] =>
  JSON_MARKS.test(annotation) ? parseElements(annotation, namespace) : parseShortForm(annotation, namespace);

function parseShortForm(annotation: string, namespace: string): readonly NetworkSelection[] {
  return annotation.split(',').map((item) => parseItem(item.trim(), namespace));
}

const NAME = /^[a-z0-9]([-a-z0-9]*[a-z0-9])?$/;
const LONGEST_IF_NAME = 15;

function parseItem(item: string, namespace: string): NetworkSelection {
  const slashed = item.split('/');
  if (slashed.length > 2) {
    throw badItem(item, "more than one '/' (failed at '/')");
  }
  const [given, rest = ''] = slashed.length === 2 ? slashed : ['', ...slashed];
  const [name = '', ifName = '', ...more] = rest.split('@').map((part) => part.trim());
  if (more.length > 0) {
    throw badItem(item, "more than one '@' (failed at '@')");
  }
  const where = (given ?? '').trim();
  const wrong = [where, name].find((part) => part !== '' && !NAME.test(part));
  if (wrong !== undefined) {
    throw badItem(item, `${JSON.stringify(wrong)} is not a name of lower case letters, digits and "-"`);
  }
  if (name === '') {
    throw badItem(item, 'it names no network');
  }
  if (Buffer.byteLength(ifName) > LONGEST_IF_NAME || /[ \t\n\v\f\r/]/.test(ifName)) {
    throw badItem(item, `${JSON.stringify(ifName)} is not a name of an interface`);
  }
  return {
    namespace: where || namespace,
    name,
    requests: ifName === '' ? {} : { ifName },
    cniArgs: undefined,
  };
}

const badItem = (item: string, why: string): CniError =>
  new CniError('invalidNetworkConfig', `cannot use network ${quoted(item)} of the annotation: ${why}`);

const NOT_JSON = 'failed to parse pod Network Attachment Selection Annotation JSON format';

function parseElements(annotation: string, namespace: string): readonly NetworkSelection[] {
  let elements: unknown;
  try {
    elements = parseJson(annotation);
  } catch (error) {
    throw new CniError('decodeFailure', `${NOT_JSON}: ${messageOf(error)}`);
  }
  if (!Array.isArray(elements)) {
    throw new CniError('decodeFailure', `${NOT_JSON}: it is not a list`);
  }
  return elements.map((element: Json, index) => {
    if (!isObject(element)) {
      throw new CniError('decodeFailure', `${NOT_JSON}: element ${index} is not an object`);
    }
    return parseElement(new Element(element, index), namespace);
  });
}

function parseElement(element: Element, namespace: string): NetworkSelection {
  const name = element.text('name');
  if (name === '') {
    throw element.fault('name', 'is missing');
  }
  const requests: Requests = {
    ...filled('ifName', element.text('interface') || element.text('interfaceRequest')),
    ...filled('mac', element.checked('mac', macFault)),
    ...filled('infinibandGuid', element.checked('infiniband-guid', guidFault)),
    ...filled('ips', element.texts('ips', ipFault)),
    ...filled('portMappings', element.ports()),
    ...filled('bandwidth', element.rates()),
    ...filled('deviceId', element.text('deviceID')),
    ...given('defaultRoute', element.textsOrNothing('default-route', gatewayFault)),
  };
  return { namespace: element.text('namespace') || namespace, name, requests, cniArgs: element.object('cni-args') };
}

export const macFault = (text: string): string | undefined =>
  isMac(text) ? undefined : `failed to mac: ${JSON.stringify(text)} is not a hardware address`;

const guidFault = (text: string): string | undefined =>
  isMac(text) ? undefined : `failed to validate infiniband GUID: ${JSON.stringify(text)} is not a hardware address`;

/** Digits alone are none here. */
const isMac = (text: string): boolean => /[:.-]/.test(text) && parseMac(text) !== undefined;

export function ipFault(text: string): string | undefined {
  if (text.includes('/')) {
    return parseCidr(text) === undefined ? `failed to parse CIDR ${JSON.stringify(text)}` : undefined;
  }
  return parseIp(text) === undefined ? `failed to parse IP address ${JSON.stringify(text)}` : undefined;
}

const gatewayFault = (text: string): string | undefined =>
  parseIp(text) === undefined ? `failed to parse IP address ${JSON.stringify(text)}` : undefined;

const PORT_NUMBERS = ['hostPort', 'containerPort'];
const PORT_TEXTS = ['protocol', 'hostIP'];
const RATES = ['ingressRate', 'ingressBurst', 'egressRate', 'egressBurst'];

/** An element of the list; keys match without regard to case, null is absent. */
class Element {
  private readonly document: JsonObject;
  private readonly index: number;

  constructor(document: JsonObject, index: number) {
    this.document = document;
    this.index = index;
  }

  fault(key: string, why: string): CniError {
    return new CniError(
      'invalidNetworkConfig',
      `cannot use "${key}" of network ${this.index} of the annotation: ${why}`,
    );
  }

  text(key: string): string {
    const value = this.value(key) ?? '';
    if (typeof value !== 'string') {
      throw this.fault(key, `${quoted(value)} is not a string`);
    }
    return value;
  }

  checked(key: string, faultOf: (text: string) => string | undefined): string {
    const text = this.text(key);
    this.refuse(key, text === '' ? undefined : faultOf(text));
    return text;
  }

  texts(key: string, faultOf: (text: string) => string | undefined): readonly string[] {
    return this.textsOrNothing(key, faultOf) ?? [];
  }

  textsOrNothing(key: string, faultOf: (text: string) => string | undefined): readonly string[] | undefined {
    const list = this.list(key);
    return list?.map((item) => {
      if (typeof item !== 'string') {
        throw this.fault(key, `${quoted(item)} is not a string`);
      }
      this.refuse(key, faultOf(item));
      return item;
    });
  }

  object(key: string): JsonObject | undefined {
    const value = this.value(key);
    if (value !== undefined && !isObject(value)) {
      throw this.fault(key, `${quoted(value)} is not an object`);
    }
    return value;
  }

  ports(): readonly JsonObject[] {
    const key = 'portMappings';
    return (this.list(key) ?? []).map((item) => {
      if (!isObject(item)) {
        throw this.fault(key, `${quoted(item)} is not an object`);
      }
      const texts = PORT_TEXTS.map((name) => [name, this.textOf(item, key, name)] as const);
      return {
        ...this.integersOf(item, key, PORT_NUMBERS),
        ...Object.fromEntries(texts.filter(([, value]) => value !== '')),
      };
    });
  }

  rates(): JsonObject | undefined {
    const bandwidth = this.object('bandwidth');
    return bandwidth && this.integersOf(bandwidth, 'bandwidth', RATES);
  }

  private integersOf(object: JsonObject, key: string, names: readonly string[]): JsonObject {
    return Object.fromEntries(
      names.map((name) => {
        const value = lookUp(object, name) ?? 0;
        if (!Number.isSafeInteger(value)) {
          throw this.fault(`${key}.${name}`, `${quoted(value)} is not a whole number`);
        }
        return [name, value];
      }),
    );
  }

  private textOf(object: JsonObject, key: string, name: string): string {
    const value = lookUp(object, name) ?? '';
    if (typeof value !== 'string') {
      throw this.fault(`${key}.${name}`, `${quoted(value)} is not a string`);
    }
    return value;
  }

  private list(key: string): readonly Json[] | undefined {
    const value = this.value(key);
    if (value !== undefined && !Array.isArray(value)) {
      throw this.fault(key, `${quoted(value)} is not a list`);
    }
    return value as readonly Json[] | undefined;
  }

  private value(key: string): Json | undefined {
    return lookUp(this.document, key) ?? undefined;
  }

  private refuse(key: string, why: string | undefined): void {
    if (why !== undefined) {
      throw this.fault(key, why);
    }
  }
}

/** A member that is left out when it is empty. */
const filled = <K extends keyof Requests>(key: K, value: Requests[K]): Pick<Requests, K> =>
  (value === undefined || value === '' || (Array.isArray(value) && value.length === 0) ? {} : { [key]: value }) as Pick<
    Requests,
    K
  >;

/** The same where empty is not the same as absent. */
const given = <K extends keyof Requests>(key: K, value: Requests[K]): Pick<Requests, K> =>
  (value === undefined ? {} : { [key]: value }) as Pick<Requests, K>;
