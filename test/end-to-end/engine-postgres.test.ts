// @module-tag slow
import { execFileSync, spawn, spawnSync } from "node:child_process";
import { once } from "node:events";
import { mkdtempSync, rmSync } from "node:fs";
import { createConnection } from "node:net";
import { join } from "node:path";
import { expect, onTestFinished, test } from "vitest";
import { startEngine, startPeer } from "../support/engine.ts";
import { freePort } from "../support/free-port.ts";
import { until } from "../support/until.ts";

const TOKEN = "token of the servers";
const within = { interval: 250 };

const hasPrograms =
  process.getuid?.() === 0 &&
  ["initdb", "postgres", "nats-server"].every((name) => spawnSync(name, ["--version"]).status === 0) &&
  spawnSync("id", ["postgres"]).status === 0;

/** Starts a program that the test ends, once its port answers. */
async function startProgram(
  port: number,
  command: string,
  args: readonly string[],
  user: { uid?: number; gid?: number } = {},
): Promise<void> {
  const child = spawn(command, args, { stdio: "ignore", ...user });
  const closed = once(child, "close");
  onTestFinished(async () => {
    child.kill("SIGKILL");
    await closed;
  });
  await until(
    () =>
      new Promise<boolean>((resolve) => {
        const socket = createConnection(port, "127.0.0.1", () => resolve(true));
        socket.on("error", () => resolve(false)).on("connect", () => socket.destroy());
      }),
    30_000,
  );
}

/** Starts Postgres and NATS. @returns the settings of engines that share them */
async function startStores(): Promise<object> {
  const folder = mkdtempSync("/var/tmp/agent-vm-postgres-");
  execFileSync("chown", ["postgres", folder]);
  onTestFinished(() => rmSync(folder, { recursive: true, force: true }));
  const data = join(folder, "data");
  const idOf = (flag: string) => Number(execFileSync("id", [flag, "postgres"], { encoding: "utf8" }));
  const user = { uid: idOf("-u"), gid: idOf("-g") };
  execFileSync("initdb", ["--auth=trust", "--no-sync", "-D", data], { stdio: "ignore", ...user });
  const [postgres, nats] = [await freePort(), await freePort()];
  const settings = [`-p${postgres}`, "-k", folder, "-c", "listen_addresses=127.0.0.1"];
  await startProgram(postgres, "postgres", ["-D", data, ...settings], user);
  await startProgram(nats, "nats-server", ["--addr", "127.0.0.1", "--port", String(nats)]);
  return {
    postgres: { url: `postgresql://postgres@127.0.0.1:${postgres}/postgres` },
    nats: { addresses: [`127.0.0.1:${nats}`] },
  };
}

test.skipIf(!hasPrograms)(
  "two engines share Postgres and NATS: a VM of one is reached through the other, and goes on when an engine restarts",
  async (context) => {
    const settings = await startStores();
    const first = await startEngine(context, {}, settings);
    const second = await startEngine(context, {}, settings);
    const server = await startPeer(first);
    const { vm } = server.client({ token: TOKEN });
    const one = vm.getOrCreate("one");
    await expect.poll(() => one.exec("echo kept > /workspace/x").then(() => true, String), within).toBe(true);
    await one.setLabels({ tier: "free" });
    const front = await startPeer(second, { vms: false });
    const far = front.client({ token: TOKEN });
    const read = async () => (await far.vm.getOrCreate("one").exec("cat /workspace/x")).stdout;
    expect(await read()).toBe("kept\n");
    expect((await far.vm.list()).vms).toMatchObject([{ key: ["one"], labels: { tier: "free" } }]);
    const { token, id } = await far.tokens.create({ vms: "one", may: ["exec"] });
    expect((await server.client({ token }).vm.get("one").exec("echo on")).stdout).toBe("on\n");
    expect((await server.client({ token: TOKEN }).tokens.list()).tokens.map((each) => each.id)).toEqual([id]);
    await second.restart();
    await expect.poll(() => read().catch(String), within).toBe("kept\n");
    await first.restart();
    await expect.poll(() => read().catch(String), within).toBe("kept\n");
  },
);
