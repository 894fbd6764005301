/** gRPC over HTTP/2: https://github.com/grpc/grpc/blob/master/doc/PROTOCOL-HTTP2.md */

/** A flag (0: not compressed), then the length. */
export const PREFIX_BYTES = 5;

/** A message as it is sent. */
export function prefixed(message: Uint8Array): Buffer {
  const prefix = Buffer.alloc(PREFIX_BYTES);
  prefix.writeUInt32BE(message.length, 1);
  return Buffer.concat([prefix, message]);
}

/**
 * The one message in the body of an answer.
 *
 * @returns why there is none, as text
 */
export function messageIn(body: Buffer): Buffer | string {
  if (body.length < PREFIX_BYTES) {
    return `half an answer: ${body.length} bytes`;
  }
  if (body[0] !== 0) {
    return 'the answer is compressed, which nobody asked for';
  }
  const [announced, got] = [body.readUInt32BE(1), body.length - PREFIX_BYTES];
  if (got !== announced) {
    return `${got < announced ? 'half an answer' : 'more than one answer'}: ${got} bytes instead of ${announced}`;
  }
  return body.subarray(PREFIX_BYTES);
}

export interface AnswerStatus {
  /** undefined: the server speaks no gRPC */
  readonly status: number | undefined;
  readonly said: string;
  readonly httpStatus: string;
}

/** What headers and trailers say together. */
export function statusIn(headers: Readonly<Record<string, string>>): AnswerStatus {
  const { ':status': httpStatus = 'none', 'grpc-status': status = '', 'grpc-message': said = '' } = headers;
  return {
    status: /^\d+$/.test(status) ? Number(status) : undefined,
    said: decoded(said),
    httpStatus,
  };
}

/** Percent-encoded; what is not stays as it is. */
function decoded(text: string): string {
  try {
    return decodeURIComponent(text);
  } catch {
    return text;
  }
}
