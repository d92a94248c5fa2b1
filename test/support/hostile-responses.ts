import net, { type AddressInfo } from "node:net";
import { onTestFinished } from "vitest";

const HIDDEN = "HTTP/1.1 200 OK\r\nX-Hidden: 1\r\nContent-Length: 6\r\n\r\nhidden";
const LENGTH = String(HIDDEN.length);
const CHUNK = `${HIDDEN.length.toString(16)}\r\n${HIDDEN}\r\n0\r\n\r\n`;

/** Status lines and header lines of answers on which clients disagree, each with what follows the head. */
const HOSTILE: readonly [line: string, fields: string, body: string][] = [
  ["HTTP/1.1 200 OK", "Content-Length: 0", HIDDEN],
  ["HTTP/1.1 200 OK", `Content-Length: 0\r\nContent-Length: ${LENGTH}`, HIDDEN],
  ["HTTP/1.1 200 OK", `Content-Length: ${LENGTH}\r\nContent-Length: 0`, HIDDEN],
  ["HTTP/1.1 200 OK", `Content-Length: 0, ${LENGTH}`, HIDDEN],
  ["HTTP/1.1 200 OK", `Content-Length: +${LENGTH}`, HIDDEN],
  ["HTTP/1.1 200 OK", "Content-Length: -1", HIDDEN],
  ["HTTP/1.1 200 OK", "Content-Length: 0x10", HIDDEN],
  ["HTTP/1.1 200 OK", "Content-Length: 18446744073709551616", HIDDEN],
  ["HTTP/1.1 200 OK", "Content-Length:", HIDDEN],
  ["HTTP/1.1 200 OK", `Content_Length: ${LENGTH}\r\nContent-Length: 0`, HIDDEN],
  ["HTTP/1.1 200 OK", `X: x\r\n Content-Length: 0\r\nContent-Length: ${LENGTH}`, HIDDEN],
  ["HTTP/1.1 200 OK", "Content-Length : 0", HIDDEN],
  ["HTTP/1.1 200 OK", "Content-Length: 0\r\nTransfer-Encoding: chunked", CHUNK],
  ["HTTP/1.1 200 OK", `Content-Length: ${CHUNK.length}\r\nTransfer-Encoding: chunked`, CHUNK],
  ["HTTP/1.1 200 OK", "Transfer-Encoding: chunked\r\nContent-Length: 0", `0\r\n\r\n${HIDDEN}`],
  ["HTTP/1.1 200 OK", "Transfer-Encoding: chunked, chunked", `0\r\n\r\n${HIDDEN}`],
  ["HTTP/1.1 200 OK", "Transfer-Encoding: xchunked\r\nContent-Length: 0", CHUNK],
  ["HTTP/1.1 200 OK", "Transfer-Encoding: chunked, identity\r\nContent-Length: 0", CHUNK],
  ["HTTP/1.1 200 OK", "Transfer_Encoding: chunked\r\nContent-Length: 0", CHUNK],
  ["HTTP/1.1 200 OK", "Transfer-Encoding : chunked\r\nContent-Length: 0", CHUNK],
  ["HTTP/1.1 200 OK", "X: x\nTransfer-Encoding: chunked\r\nContent-Length: 0", CHUNK],
  ["HTTP/1.1 200 OK", "X: x\rTransfer-Encoding: chunked\r\nContent-Length: 0", CHUNK],
  ["HTTP/1.1 200 OK", "Transfer-Encoding: chunked", `0\r\n\r\n${HIDDEN}`],
  ["HTTP/1.1 200 OK", "Transfer-Encoding: chunked", `0\r\nX-Trailer: 1\r\n\r\n${HIDDEN}`],
  ["HTTP/1.1 200 OK", "Transfer-Encoding: chunked", `0;\n\r\n\r\n${HIDDEN}`],
  ["HTTP/1.1 200 OK", "Transfer-Encoding: chunked", `3\r\nabcXX${HIDDEN}`],
  ["HTTP/1.1 200 OK", "Transfer-Encoding: chunked", `-1\r\n${HIDDEN}`],
  ["HTTP/1.1 200 OK", "Transfer-Encoding: chunked", `ffffffffffffffff\r\n${HIDDEN}`],
  ["HTTP/1.0 200 OK", "Transfer-Encoding: chunked", CHUNK],
  ["HTTP/1.0 200 OK", "Content-Length: 0\r\nConnection: keep-alive", HIDDEN],
  ["HTTP/1.1 204 No Content", `Content-Length: ${LENGTH}`, HIDDEN],
  ["HTTP/1.1 204 No Content", "Transfer-Encoding: chunked", CHUNK],
  ["HTTP/1.1 304 Not Modified", `Content-Length: ${LENGTH}`, HIDDEN],
  ["HTTP/1.1 100 Continue", `Content-Length: ${LENGTH}`, HIDDEN],
  ["HTTP/1.1 103 Early Hints", "Transfer-Encoding: chunked", CHUNK],
  ["HTTP/1.1 101 Switching Protocols", "Connection: Upgrade\r\nUpgrade: x", HIDDEN],
  ["HTTP/1.1 200 O\rK", "Content-Length: 0", HIDDEN],
  ["HTTP/1.1 200", "Content-Length: 0", HIDDEN],
  ["HTTP/1.1  200 OK", "Content-Length: 0", HIDDEN],
  ["HTTP/2.0 200 OK", "Content-Length: 0", HIDDEN],
  ["HTTP/1.1 099 Low", "Content-Length: 0", HIDDEN],
  ["HTTP/1.1 1000 High", "Content-Length: 0", HIDDEN],
  ["HTTP/1.1 200 OK", "X: a\0b\r\nContent-Length: 0", HIDDEN],
  ["HTTP/1.1 200 OK", ": x\r\nContent-Length: 0", HIDDEN],
  ["HTTP/1.1 200 OK", "Connection: content-length, x\r\nContent-Length: 0", HIDDEN],
  ["HTTP/1.1 200 OK", "Content-Length: 0\r\nConnection: close, keep-alive", HIDDEN],
  ["\r\nHTTP/1.1 200 OK", "Content-Length: 0", HIDDEN],
  ["ICY 200 OK", "Content-Length: 0", HIDDEN],
];

/** Number of hostile answers. */
export const HOSTILE_RESPONSES: number = HOSTILE.length;

/**
 * Starts a raw server that answers a request of `/N` with hostile answer N, and a request of `/plain` with the body "plain".
 * It keeps each connection open.
 */
export async function startHostileServer(): Promise<number> {
  const sockets = new Set<net.Socket>();
  const server = net.createServer((socket) => {
    sockets.add(socket);
    socket.on("error", () => socket.destroy());
    socket.on("data", (data) => {
      const path = /^\S+ \S*?\/(\w+) /.exec(data.toString("latin1"))?.[1] ?? "plain";
      const [line, fields, body] = HOSTILE[Number(path)] ?? ["HTTP/1.1 200 OK", "Content-Length: 5", "plain"];
      socket.write(`${line}\r\n${fields}\r\n\r\n${body}`, "latin1");
    });
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  onTestFinished(() => {
    for (const socket of sockets) socket.destroy();
    server.close();
  });
  return (server.address() as AddressInfo).port;
}

/**
 * Reads bytes as answers, by the strict rules of RFC 9112. An answer that is cut off counts as one.
 *
 * @returns why the bytes are not one unambiguous answer after interim ones; `undefined` if they are.
 */
export function answerFaultOf(bytes: string): string | undefined {
  const end = bytes.indexOf("\r\n\r\n");
  if (end < 0) return undefined;
  const [line = "", ...fields] = bytes.slice(0, end).split("\r\n");
  const status = Number(/^HTTP\/1\.1 (\d{3}) [^\r\n\0]*$/.exec(line)?.[1]);
  if (!(status >= 100 && status < 1000)) return `status line ${JSON.stringify(line)}`;
  const rest = bytes.slice(end + 4);
  const names = fields.map((field) => /^([!#$%&'*+.^`|~\w-]+): ?[^\r\n\0]*$/.exec(field)?.[1]?.toLowerCase());
  if (names.includes(undefined)) return `header lines ${JSON.stringify(fields)}`;
  const valuesOf = (name: string) =>
    fields.filter((_, index) => names[index]?.replaceAll("_", "-") === name).map((it) => it.split(/: ?/)[1]);
  const [lengths, codings] = [valuesOf("content-length"), valuesOf("transfer-encoding")];
  if (status < 200)
    return lengths.length + codings.length > 0 ? "an interim answer with a frame" : answerFaultOf(rest);
  if (lengths.length + codings.length > 1) return "two frames";
  if (codings.length > 0) {
    if (codings[0] !== "chunked") return `coding ${codings[0]}`;
    return chunkedFault(rest);
  }
  const isBodiless = status === 204 || status === 304;
  if (isBodiless) return rest === "" ? undefined : "a body after 204 or 304";
  if (lengths.length === 0) return undefined;
  if (!/^\d+$/.test(lengths[0] ?? "")) return `length ${lengths[0]}`;
  return rest.length > Number(lengths[0]) ? "bytes after the body" : undefined;
}

function chunkedFault(bytes: string): string | undefined {
  const head = /^([0-9a-f]+)\r\n/i.exec(bytes);
  if (head === null) return bytes === "" || !bytes.includes("\n") ? undefined : "a malformed chunk";
  const size = Number.parseInt(head[1] ?? "", 16);
  const rest = bytes.slice(head[0].length);
  if (size === 0) return /^\r\n$/.test(rest) || rest === "" ? undefined : "bytes after the last chunk";
  if (rest.length <= size) return undefined;
  if (!rest.startsWith("\r\n", size)) return "a chunk without an end";
  return chunkedFault(rest.slice(size + 2));
}
