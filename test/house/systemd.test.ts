import { spawnSync } from "node:child_process";
import { mkdirSync, readdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { expect, test } from "vitest";
import { DRAIN_TIMEOUT_MS, SHUTDOWN_TIMEOUT_MS } from "../../src/http/limits.ts";
import { testFolder } from "../support/temporary-folder.ts";

const FOLDER = join(import.meta.dirname, "../../deploy/systemd");
const unit = readFileSync(join(FOLDER, "agent-vm.service"), "utf8");
const settingOf = (name: string) => new RegExp(`^${name}=(.*)$`, "m").exec(unit)?.[1] ?? "";

const hasSystemd = spawnSync("systemd-analyze", ["--version"]).status === 0;

test.skipIf(!hasSystemd)("systemd takes the units without a complaint", () => {
  const folder = join(testFolder(), "units");
  mkdirSync(folder);
  const units = readdirSync(FOLDER);
  for (const name of units) {
    // The check wants the program of each unit to exist on this host.
    const text = readFileSync(join(FOLDER, name), "utf8")
      .replaceAll("/usr/bin/node", process.execPath)
      .replace(/^ExecStart=\/opt\/rivet-engine\S+/m, `ExecStart=${process.execPath}`);
    writeFileSync(join(folder, name), text);
  }
  const { status, stdout, stderr } = spawnSync(
    "systemd-analyze",
    ["verify", ...units.map((name) => join(folder, name))],
    { encoding: "utf8" },
  );
  expect({ status, output: stdout + stderr }).toEqual({ status: 0, output: "" });
});

test("systemd waits for the server's shutdown, and signals the server alone", () => {
  expect(Number.parseInt(settingOf("TimeoutStopSec"), 10) * 1000).toBeGreaterThan(
    DRAIN_TIMEOUT_MS + SHUTDOWN_TIMEOUT_MS,
  );
  expect(settingOf("KillMode")).toBe("mixed");
  expect(settingOf("Delegate")).toBe("yes");
});
