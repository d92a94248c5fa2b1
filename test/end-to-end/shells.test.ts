import { expect, test } from "vitest";
import { sharedServer } from "../support/servers.ts";

const server = sharedServer();

test("connectTerminal feeds onData, and writeShell and resizeShell reach its shell", async () => {
  const client = server().client();
  const conn = client.vm.getOrCreate("shells").connect();
  let screen = "";
  let seen: () => void = () => undefined;
  const has = (text: string) =>
    new Promise<void>((resolve) => {
      seen = () => {
        if (screen.includes(text)) resolve();
      };
      seen();
    });
  const pid = await conn.connectTerminal({
    cols: 90,
    rows: 20,
    onData: (data) => {
      screen += new TextDecoder().decode(data);
      seen();
    },
  });
  const [shell] = await conn.listShells();
  const shellId = shell?.shellId ?? "";
  expect(shell).toMatchObject({ pid, cols: 90, rows: 20, running: true });
  await conn.writeShell(shellId, "stty size; tty\n");
  await has("20 90\r\n/dev/pts/");
  await conn.resizeShell(shellId, 100, 30);
  await conn.writeShell(shellId, "stty size; exit 5\n");
  await has("30 100\r\n");
  expect(await conn.waitShell(shellId)).toBe(5);
});
