import { useState } from "preact/hooks";
import { keepsLogin, login } from "../state/session.ts";
import { Dialog } from "../ui/dialog.tsx";
import { Failure, Form } from "../ui/parts.tsx";

interface Props {
  onLogin: (token: string) => void;
}

/** Asks for a token. The console keeps a token of its own that ends soon, and never the server's token. */
export function LoginPage({ onLogin }: Props) {
  return (
    <main class="login">
      <h1>agent-vm console</h1>
      <LoginForm onLogin={onLogin} />
      <p class="hint">
        {keepsLogin()
          ? "The login lasts an hour, and longer while the console is open."
          : "This address is not secure for browsers, so the login ends with a reload."}{" "}
        <a href="/console">Open the console without a token</a> if the server asks for none.
      </p>
    </main>
  );
}

/** Asks for a token again in a dialog over the page. The page keeps the text that the user has entered. */
export function LoginDialog({ onLogin, onClose }: Props & { onClose: () => void }) {
  return (
    <Dialog title="The login has ended" onClose={onClose}>
      <LoginForm onLogin={onLogin} />
    </Dialog>
  );
}

function LoginForm({ onLogin }: Props) {
  const [token, setToken] = useState("");
  const [error, setError] = useState<Error>();
  const [isBusy, setIsBusy] = useState(false);
  const submit = async () => {
    setIsBusy(true);
    try {
      onLogin(await login(token.trim()));
    } catch (failure) {
      setError(failure as Error);
    }
    setIsBusy(false);
  };
  return (
    <Form onSubmit={submit}>
      <label class="field">
        <span>Server token, or a token for some machines</span>
        <input
          // biome-ignore lint/a11y/noAutofocus: the page has only this field
          autoFocus
          type="password"
          autoComplete="off"
          value={token}
          onInput={(event) => setToken(event.currentTarget.value)}
        />
      </label>
      <Failure error={error} />
      <button class="primary" type="submit" disabled={isBusy || token.trim() === ""}>
        Log in
      </button>
    </Form>
  );
}
