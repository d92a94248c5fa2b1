import { render } from "preact";
import "./style.css";
import { App } from "./app.tsx";
import { takeToken } from "./state/session.ts";

render(<App token={takeToken()} />, document.getElementById("app") as HTMLElement);
