import { once } from "node:events";
import { readdirSync, statSync } from "node:fs";
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { join } from "node:path";
import { expect, test } from "vitest";
import { freePort } from "../support/free-port.ts";
import { runProgram } from "../support/program.ts";
import { temporaryFolder } from "../support/temporary-folder.ts";

const PINO = JSON.stringify(import.meta.resolve("pino"));
const INDEX = JSON.stringify(new URL("../../src/index.ts", import.meta.url).href);

/** Runs a program with a server of its own, in an empty home. It prints its log, and ends with the first line or after `listen`. */
async function runServer(port: number, start: string) {
  const home = temporaryFolder();
  const program = `
    const { listen, setup, vmActor } = await import(${INDEX});
    const { pino } = await import(${PINO});
    const logger = pino({ level: "warn" }, { write: (line) => process.stdout.write(line, () => process.exit()) });
    const registry = setup({ use: { vm: vmActor({ runtime: "memory" }) }, port: ${port}, logger });
    ${start}
  `;
  const env = { HOME: home, XDG_DATA_HOME: home };
  const end = await runProgram(["--input-type=module", "-e", program], { cwd: home, env });
  return { ...end, home };
}

test("no other user may read the data of a server that names no folder", async () => {
  const { home, ...end } = await runServer(await freePort(), "await listen(registry); process.exit();");
  expect(end).toEqual({ code: 0, stdout: "", stderr: "" });
  const [name = ""] = readdirSync(join(home, "rivetkit"));
  expect(statSync(join(home, "rivetkit", name)).mode & 0o777).toBe(0o700);
});

test("start() says in the log which port it has taken in place of one that is in use", async () => {
  const other = createServer().listen(0, "127.0.0.1");
  await once(other, "listening");
  const { port } = other.address() as AddressInfo;
  const { stdout } = await runServer(port, "registry.start();");
  other.close();
  expect(JSON.parse(stdout)).toMatchObject({
    configured: port,
    port: expect.any(Number),
    msg: "port is in use, server listens on another",
  });
});
