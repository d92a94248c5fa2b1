import { fork } from "node:child_process";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { type AddressInfo, connect, type Server, type Socket } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { expect, onTestFinished, test, vi } from "vitest";
import { AcceptRate } from "../../../../../src/runtime/sandbox/kernel/network/accept-rate.ts";

/** Receives a listening socket from another process, as from a helper. */
async function passedServer(): Promise<Server> {
  const folder = mkdtempSync(join(tmpdir(), "accept-rate-"));
  onTestFinished(() => rmSync(folder, { recursive: true }));
  const program = join(folder, "pass.cjs");
  writeFileSync(
    program,
    `const server = require("node:net").createServer().listen(0, "127.0.0.1", () =>
       process.send({}, server, () => { server.close(); process.disconnect(); }));`,
  );
  const child = fork(program);
  const exited = new Promise((resolve) => child.once("exit", resolve));
  const server = await new Promise<Server>((resolve) =>
    child.once("message", (_message, handle) => resolve(handle as Server)),
  );
  await exited;
  onTestFinished(() => void server.close());
  return server;
}

test("connections past a second's limit wait in the kernel until the next second", async () => {
  const servers = [await passedServer(), await passedServer()];
  vi.useFakeTimers({ toFake: ["setTimeout", "clearTimeout"] });
  onTestFinished(() => void vi.useRealTimers());
  const rate = new AcceptRate(3);
  const accepted: Socket[] = [];
  for (const server of servers) {
    rate.add(server);
    server.on("connection", (socket) => accepted.push(socket));
  }
  const clients = await Promise.all(
    [0, 1, 0, 1, 0, 1, 0].map(
      (index) =>
        new Promise<Socket>((resolve) => {
          const { port } = servers[index]!.address() as AddressInfo;
          const socket = connect(port, "127.0.0.1", () => resolve(socket));
        }),
    ),
  );
  onTestFinished(() => {
    for (const socket of [...clients, ...accepted]) socket.destroy();
  });
  const ends = async (count: number) => {
    await expect.poll(() => accepted.length).toBe(count);
    // The event loop turns, and accepts nothing more.
    for (let turn = 0; turn < 20; turn++) await new Promise((resolve) => setImmediate(resolve));
    expect(accepted).toHaveLength(count);
  };
  await ends(3);
  vi.advanceTimersByTime(1_000);
  await ends(6);
  vi.advanceTimersByTime(1_000);
  await ends(7);
});
