import { once } from "node:events";
import net, { type AddressInfo } from "node:net";
import { expect, onTestFinished, test } from "vitest";
import { OutboundGate } from "../../../../src/runtime/network/outbound/gate.ts";
import { NetworkLog } from "../../../../src/runtime/network/outbound/log.ts";
import type { VmReport } from "../../../../src/runtime/reports.ts";
import { failure } from "../../../support/until.ts";

test("each denial, and the bytes of each connection at its end, are reported", async () => {
  const server = net.createServer((socket) => void socket.end("answer")).listen(0, "127.0.0.1");
  onTestFinished(() => void server.close());
  await once(server, "listening");
  const { port } = server.address() as AddressInfo;
  const reports: VmReport[] = [];
  const report = (each: VmReport) => void reports.push(each);
  const log = new NetworkLog(
    () => undefined,
    () => report({ kind: "denied" }),
  );
  const gate = new OutboundGate({ allow: [`127.0.0.1:${port}`] }, log, { report });
  const { signal } = new AbortController();
  await failure(gate.open({ host: "127.0.0.1", port: 1 }, signal));
  expect(reports).toEqual([{ kind: "denied" }]);
  const socket = await gate.open({ host: "127.0.0.1", port }, signal);
  socket.end("ask").resume();
  await once(socket, "close");
  expect(reports[1]).toEqual({ kind: "traffic", bytesOut: 3, bytesIn: 6 });
});
