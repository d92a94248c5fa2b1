import { AgentVmError } from "../../../api/errors.ts";

/** Number of the frame with which a server of HTTP/2 begins (RFC 9113). */
const SETTINGS = 4;
const HEAD_BYTES = 9;

/**
 * Returns the error for a port whose server speaks only HTTP/2, such as a gRPC server.
 *
 * @param error error of Node's HTTP parser, which has the bytes that it could not read
 * @returns `undefined` for any other answer
 */
export function http2Only(port: number, error: unknown): AgentVmError | undefined {
  const { rawPacket } = Object(error) as { rawPacket?: unknown };
  if (!(rawPacket instanceof Uint8Array) || rawPacket.byteLength < HEAD_BYTES) return undefined;
  // Settings have six bytes each, and belong to no stream.
  const length = ((rawPacket[0] ?? 0) << 16) | ((rawPacket[1] ?? 0) << 8) | (rawPacket[2] ?? 0);
  const isSettings =
    rawPacket[3] === SETTINGS && length % 6 === 0 && rawPacket.subarray(5, 9).every((byte) => byte === 0);
  if (!isSettings) return undefined;
  return new AgentVmError("http2_not_supported", `Port ${port} of the VM speaks only HTTP/2`, { port });
}
