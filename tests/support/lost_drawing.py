"""A drawing of the server's that does not arrive in the browser."""

import re

from playwright.sync_api import Page, WebSocketRoute
from streamlit.proto.BackMsg_pb2 import BackMsg
from streamlit.proto.ForwardMsg_pb2 import ForwardMsg


class LostDrawing:
    """Keeps from a page what the server sends of its next drawing, once it is told to.

    Streamlit loses it by itself when a browser is so slow that its requests come several at a time.

    Attributes:
        wanted: Set it to lose the next one.
        lost: How many messages were lost.
    """

    def __init__(self, page: Page, *, after_press: bool = False) -> None:
        """Comes before the page is opened.

        Args:
            page: The browser's.
            after_press: Loses what is drawn, of the whole page or of a part, after the next press of a button. Else
                it is the next drawing of the whole page, whoever asks for it.
        """
        self.wanted = False
        self.lost = 0
        self._parts_too = after_press
        self._due = not after_press
        self._losing = False
        page.route_web_socket(re.compile("/_stcore/stream"), self._connect)

    def _connect(self, socket: WebSocketRoute) -> None:
        server = socket.connect_to_server()
        socket.on_message(lambda message: self._ask(server, message))
        server.on_message(lambda message: self._pass_on(socket, message))

    def _ask(self, server: WebSocketRoute, data: str | bytes) -> None:
        assert isinstance(data, bytes)
        states = BackMsg.FromString(data).rerun_script.widget_states.widgets
        self._due = self._due or (self.wanted and any(state.trigger_value for state in states))
        server.send(data)

    def _pass_on(self, socket: WebSocketRoute, data: str | bytes) -> None:
        assert isinstance(data, bytes)
        message = ForwardMsg.FromString(data)
        kind = message.WhichOneof("type")
        begins = kind == "new_session" and (self._parts_too or not message.metadata.run.fragment_ids)
        if self.wanted and self._due and begins:
            self.wanted, self._losing = False, True
        if not self._losing:
            socket.send(data)
            return
        self.lost += 1
        # Ended early, it is drawn anew at once: that belongs to it.
        goes_on = message.script_finished == ForwardMsg.FINISHED_EARLY_FOR_RERUN
        self._losing = kind != "script_finished" or goes_on
