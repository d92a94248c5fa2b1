import dgram from "node:dgram";
import { onTestFinished } from "vitest";

/**
 * Starts a DNS server that knows only these A records.
 *
 * @param names addresses by name; `"silent"` gets no answer.
 * @returns its `address:port`, and the questions it got as `TYPE name`.
 */
export async function startNameServer(
  names: Record<string, string[] | "silent">,
): Promise<{ server: string; asked: string[] }> {
  const asked: string[] = [];
  const socket = dgram.createSocket("udp4");
  socket.on("message", (message, from) => {
    const labels: string[] = [];
    let at = 12;
    for (let length = message[at] ?? 0; length > 0; length = message[at] ?? 0) {
      labels.push(message.subarray(at + 1, at + 1 + length).toString());
      at += 1 + length;
    }
    const name = labels.join(".").toLowerCase();
    const isA = message.readUInt16BE(at + 1) === 1;
    asked.push(`${isA ? "A" : "AAAA"} ${name}`);
    const known = names[name];
    if (known === "silent") return;
    const addresses = isA ? (known ?? []) : [];
    const head = Buffer.from(message.subarray(0, 12));
    // Answer with recursion available; code 3 is NXDOMAIN.
    head.writeUInt16BE(known === undefined ? 0x8183 : 0x8180, 2);
    head.writeUInt16BE(1, 4);
    head.writeUInt16BE(addresses.length, 6);
    head.writeUInt32BE(0, 8);
    const records = addresses.map((address) =>
      Buffer.from([0xc0, 12, 0, 1, 0, 1, 0, 0, 0, 1, 0, 4, ...address.split(".").map(Number)]),
    );
    const answer = Buffer.concat([head, message.subarray(12, at + 5), ...records]);
    socket.send(answer, from.port, from.address);
  });
  await new Promise<void>((resolve) => socket.bind(0, "127.0.0.1", resolve));
  onTestFinished(() => void socket.close());
  return { server: `127.0.0.1:${socket.address().port}`, asked };
}
