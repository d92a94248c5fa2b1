import net, { type AddressInfo } from "node:net";
import { onTestFinished } from "vitest";

/** Starts a raw TCP server that keeps the bytes of each connection and answers 200 once the bytes pause. */
export async function startRecorder(pauseMs = 40): Promise<{ port: number; connections: string[] }> {
  const connections: string[] = [];
  const server = net.createServer((socket) => {
    const index = connections.push("") - 1;
    let timer: NodeJS.Timeout | undefined;
    socket.on("error", () => socket.destroy());
    socket.on("data", (data) => {
      connections[index] += data.toString("latin1");
      clearTimeout(timer);
      timer = setTimeout(() => socket.end("HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n"), pauseMs);
    });
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  onTestFinished(() => void server.close());
  return { port: (server.address() as AddressInfo).port, connections };
}

/**
 * Reads recorded bytes as one request, by the strict rules of RFC 9112. A request that is cut off counts as one.
 *
 * @returns why the bytes are not one unambiguous request; `undefined` if they are.
 */
export function faultOf(bytes: string): string | undefined {
  const end = bytes.indexOf("\r\n\r\n");
  if (end < 0) return undefined;
  const [line = "", ...fields] = bytes.slice(0, end).split("\r\n");
  if (!/^[A-Z]+ [^\s]+ HTTP\/1\.1$/.test(line)) return `request line ${line}`;
  const headers = new Map<string, string[]>();
  for (const field of fields) {
    const [, name = "", value = ""] = /^([!#$%&'*+.^`|~\w-]+): ?(.*)$/.exec(field) ?? [];
    if (name === "" || value.includes("\0")) return `header line ${JSON.stringify(field)}`;
    const alias = name.toLowerCase().replace(/[^a-z0-9]/g, "-");
    headers.set(alias, [...(headers.get(alias) ?? []), value]);
  }
  const valuesOf = (name: string) => headers.get(name) ?? [];
  const [length, coding] = [valuesOf("content-length"), valuesOf("transfer-encoding")];
  if (valuesOf("host").length !== 1) return "not one Host";
  if (length.length + coding.length > 1) return "more than one frame";
  if (coding[0] === undefined) return faultOfSized(bytes.slice(end + 4), length[0] ?? "0");
  return coding[0] === "chunked" ? faultOfChunked(bytes.slice(end + 4)) : `coding ${coding[0]}`;
}

function faultOfSized(body: string, length: string): string | undefined {
  if (!/^\d+$/.test(length)) return `length ${length}`;
  return body.length > Number(length) ? `${body.length} bytes for a length of ${length}` : undefined;
}

function faultOfChunked(body: string): string | undefined {
  for (let rest = body; rest !== ""; ) {
    const [head = "", hex = ""] = /^([0-9a-f]+)\r\n/i.exec(rest) ?? [];
    if (head === "") return `chunk ${rest.slice(0, 40)}`;
    const size = Number.parseInt(hex, 16);
    rest = rest.slice(head.length + size);
    if (size === 0) return rest === "\r\n" ? undefined : `bytes after the last chunk: ${rest}`;
    if (rest !== "" && !rest.startsWith("\r\n")) return "chunk without an end";
    rest = rest.slice(2);
  }
  return undefined;
}
