// @module-tag slow
import { expect, test } from "vitest";
import { consoleTest } from "../support/console.ts";

const MIB = 1024 * 1024;
const perVm = { limits: { memoryBytes: 512 * MIB, processes: 64 }, env: true, destroyAfterMs: 60_000 };
const { vm, open, shoot } = consoleTest({ PER_VM: JSON.stringify(perVm) });
const refused = { expected: /400|404/ };

test("the form for a new machine has the options that the server allows, and the limits can be changed later", async (context) => {
  const page = await open(context, refused);
  await page.getByRole("button", { name: "New machine" }).click();
  const dialog = page.getByRole("dialog", { name: "New machine" });
  await dialog.getByLabel("Name (a slash").fill("team/formed");
  await dialog.getByText("Options").click();
  await dialog.getByLabel("Labels").fill("tier=free\nowner=a=b");
  await dialog.getByLabel("memoryBytes (at most").fill("256 MiB");
  await dialog.getByLabel("Variables").fill("GREETING=hello there");
  await dialog.getByLabel("Milliseconds of sleep").fill("50000");
  // The server does not let a machine choose these.
  for (const name of ["Outbound connections", "First files", "cpus"])
    expect(await dialog.getByLabel(name).count()).toBe(0);
  await shoot(page, "create");
  await dialog.getByRole("button", { name: "Create" }).click();
  await page.getByRole("heading", { name: "team / formed" }).waitFor();
  const made = vm(["team", "formed"]);
  expect((await made.status()).own).toMatchObject({
    limits: { memoryBytes: 256 * MIB },
    env: ["GREETING"],
    destroyAfterMs: 50_000,
  });
  expect((await made.status()).labels).toEqual({ tier: "free", owner: "a=b" });
  expect((await made.exec("echo $GREETING")).stdout).toBe("hello there\n");

  await page.getByRole("button", { name: "Change limits" }).click();
  const limits = page.getByRole("dialog", { name: "Limits" });
  await limits.getByLabel("processes").fill("1000");
  await limits.getByRole("button", { name: "Set" }).click();
  await limits.getByText("at most 64, the server's maximum").waitFor();
  await limits.getByLabel("processes").fill("40");
  await limits.getByRole("button", { name: "Set" }).click();
  await limits.waitFor({ state: "detached" });
  expect((await made.status()).own.limits).toEqual({ memoryBytes: 256 * MIB, processes: 40 });
});

test("the page of methods calls any method with a form from the method table, and shows result and error", async (context) => {
  await vm("methods").writeFile("/workspace/file", "content");
  await vm("methods").sleep();
  const page = await open(context, { at: "#/vm/vm/methods/methods", ...refused });
  const choose = async (name: string) => {
    await page.getByRole("button", { name: new RegExp(`^${name}\\(`) }).click();
    return page.getByRole("form", { name });
  };
  await page.getByLabel("Search methods").fill("exec");
  const exec = await choose("exec");
  await page.getByText("It boots the machine.").waitFor();
  expect((await vm("methods").status()).state).toBe("sleeping");
  await exec.getByLabel("command").fill("echo $WORD; cat; pwd");
  await exec.getByLabel("env").fill("WORD=first");
  await exec.getByLabel("stdin").fill("second");
  await exec.getByLabel("cwd").fill("/tmp");
  await exec.getByLabel("timeout").fill("5000");
  await exec.getByLabel("captureStdio").selectOption("true");
  await exec.getByRole("button", { name: "Call" }).click();
  await page.getByRole("region", { name: "Result" }).getByText("first\\nsecond/tmp").waitFor();
  await shoot(page, "methods");
  await page.getByLabel("Search methods").fill("");
  const read = await choose("readFiles");
  await read.getByLabel("paths").fill("/workspace/file\n/nowhere");
  await read.getByRole("button", { name: "Call" }).click();
  await page.getByRole("region", { name: "Result" }).getByText('"content": "content"').waitFor();
  const undo = await choose("undo");
  await undo.getByLabel("snapshotId").fill("snap-0");
  await undo.getByLabel("paths").fill("/x");
  await undo.getByRole("button", { name: "Call" }).click();
  await page.getByRole("alert").getByText("Snapshot not found").waitFor();
  for (const hidden of ["destroy", "beginCall"])
    expect(await page.getByRole("button", { name: new RegExp(`^${hidden}\\(`) }).count()).toBe(0);
});
