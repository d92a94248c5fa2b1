import { chmod, rm } from "node:fs/promises";
import { afterEach, expect, test, vi } from "vitest";
import { Health, type HealthOptions } from "../../src/monitoring/health.ts";
import { dataFolder } from "../support/temporary-folder.ts";

afterEach(() => vi.restoreAllMocks());

function health(options: Partial<HealthOptions> = {}) {
  const folder = dataFolder();
  const changes: string[] = [];
  const made = new Health({
    folder: () => folder,
    tryBoot: async () => true,
    isDraining: () => false,
    onChange: (check, error) => void changes.push(`${check} ${error === undefined ? "ok" : "failed"}`),
    ...options,
  });
  return { health: made, folder, changes };
}

test("a hundred questions at once, and one soon after, boot one VM", async () => {
  let boots = 0;
  const tryBoot = async () => {
    boots += 1;
    return true;
  };
  const { health: asked } = health({ tryBoot });
  const answers = await Promise.all(Array.from({ length: 100 }, () => asked.ready()));
  expect(answers.every(({ status }) => status === "ready")).toBe(true);
  await asked.ready();
  expect(boots).toBe(1);
});

test("the boot of a VM counts as a trial", async () => {
  const { health: asked } = health({ tryBoot: async () => expect.unreachable() });
  asked.booted();
  expect(await asked.ready()).toMatchObject({ status: "ready", vms: "ok" });
});

test("a boot that the quota has no room for changes no outcome", async () => {
  const outcomes = [new Error("no namespaces"), false];
  const tryBoot = async () => {
    const outcome = outcomes.shift();
    if (outcome === undefined || typeof outcome === "boolean") return outcome ?? expect.unreachable();
    throw outcome;
  };
  const full = health({ tryBoot: async () => false });
  expect(await full.health.ready()).toMatchObject({ status: "ready" });
  const broken = health({ tryBoot });
  expect(await broken.health.ready()).toMatchObject({ vms: "failed" });
  vi.spyOn(performance, "now").mockReturnValue(performance.now() + 6_000);
  expect(await broken.health.ready()).toMatchObject({ vms: "failed" });
  expect(outcomes).toEqual([]);
});

test("is not ready without its data folder, without boots, and while it shuts down", async () => {
  const gone = health();
  await rm(gone.folder, { recursive: true });
  expect(await gone.health.ready()).toEqual({
    status: "not ready",
    storage: "failed",
    vms: "ok",
    draining: false,
  });
  const bootless = health({ tryBoot: () => Promise.reject(new Error("no namespaces")) });
  expect(await bootless.health.ready()).toMatchObject({ status: "not ready", storage: "ok", vms: "failed" });
  expect([...gone.changes, ...bootless.changes]).toEqual(["storage failed", "vms failed"]);
  bootless.health.booted();
  expect(await bootless.health.ready()).toMatchObject({ status: "ready" });
  expect(bootless.changes).toEqual(["vms failed", "vms ok"]);
  const stopping = health({ isDraining: () => true, tryBoot: async () => expect.unreachable() });
  expect(await stopping.health.ready()).toMatchObject({ status: "not ready", draining: true });
});

test.skipIf(process.getuid?.() === 0)("is not ready in a data folder that it may not write", async () => {
  const { health: asked, folder } = health();
  await chmod(folder, 0o500);
  expect(await asked.ready()).toMatchObject({ storage: "failed" });
  await chmod(folder, 0o700);
});
