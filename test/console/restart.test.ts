// @module-tag slow
import { expect, test } from "vitest";
import { consoleTest } from "../support/console.ts";

const TOKEN = "the-administrators-token";
const { vm, open, restart } = consoleTest({ AGENT_VM_TOKEN: TOKEN });

test("an open console survives a restart of the server: its login, its list and its terminal go on", async (context) => {
  await vm("one").writeFile("/workspace/kept", "kept");
  const page = await open(context, { at: "#/vm/vm/terminal/one", expected: /ERR_|WebSocket|401|500|503/ });
  await page.getByLabel("Server token, or a token for some machines").fill(TOKEN);
  await page.getByRole("button", { name: "Log in" }).click();
  await page.getByRole("button", { name: "Open a terminal" }).click();
  const screen = page.locator(".xterm-rows");
  await expect.poll(() => screen.innerText()).toContain("$");
  await restart(() => page.getByText("server unreachable").waitFor());
  await page.getByText("server unreachable").waitFor({ state: "detached" });
  // The shell ended with the server, and the machine sleeps until somebody wakes it.
  await page.getByRole("button", { name: "Wake the machine" }).click();
  await page.getByRole("button", { name: "Open a terminal" }).click();
  await expect.poll(() => screen.innerText()).toContain("$");
  await page.locator(".xterm").click();
  await page.keyboard.type("cat /workspace/kept\n");
  await expect.poll(() => screen.innerText()).toContain("kept");
  await page.reload();
  await expect.poll(() => screen.innerText()).toContain("kept");
});
