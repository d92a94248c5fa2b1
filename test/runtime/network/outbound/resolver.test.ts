import { createSocket, type RemoteInfo } from "node:dgram";
import { expect, onTestFinished, test } from "vitest";
import { MAX_QUESTIONS_PER_SECOND } from "../../../../src/runtime/network/limits.ts";
import { OutboundGate } from "../../../../src/runtime/network/outbound/gate.ts";
import { NetworkLog } from "../../../../src/runtime/network/outbound/log.ts";
import { OutboundNames } from "../../../../src/runtime/network/outbound/names.ts";
import { OutboundResolver } from "../../../../src/runtime/network/outbound/resolver.ts";

test("a flood of datagrams gets no more answers than the limit of a second", async () => {
  const log = new NetworkLog(
    () => undefined,
    () => undefined,
  );
  const gate = new OutboundGate("none", log);
  const resolver = new OutboundResolver({ gate, names: new OutboundNames(), hasIpv6: false });
  const [server, program] = [createSocket("udp4"), createSocket("udp4")];
  onTestFinished(() => {
    resolver.close();
    gate.close();
    server.close();
    program.close();
  });
  await new Promise<void>((resolve) => server.bind(0, "127.0.0.1", resolve));
  await new Promise<void>((resolve) => program.bind(0, "127.0.0.1", resolve));
  resolver.serve(server);
  let sent = 0;
  const send = server.send.bind(server) as (...args: unknown[]) => void;
  server.send = (...args: unknown[]) => {
    sent += 1;
    send(...args);
  };
  // Messages that are no questions are answered at once, so that none waits.
  const from: RemoteInfo = {
    address: "127.0.0.1",
    port: program.address().port,
    family: "IPv4",
    size: 12,
  };
  for (let count = 0; count < MAX_QUESTIONS_PER_SECOND + 100; count++)
    server.emit("message", Buffer.alloc(12), from);
  await expect.poll(() => sent).toBe(MAX_QUESTIONS_PER_SECOND);
});
