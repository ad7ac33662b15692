"""The alternative in Python: one stored function for each request, behind FastAPI and asyncpg.

As a script it serves until SIGTERM on a free port, which it prints. PGHOST and the like name the database.
"""
# mypy: ignore-errors
# FastAPI is not a dependency of the project: `make bench` installs it for the run, and types are not checked.

import os
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import datetime
from typing import Annotated

import asyncpg
import jwt
import uvicorn
from fastapi import Depends, FastAPI, HTTPException, Request
from fastapi.security import HTTPAuthorizationCredentials, HTTPBearer
from pydantic import BaseModel

SECRET = os.environ["JWT_SECRET"]
STATUS = {
    "USER_DELETED": 401,
    "REWARD_NOT_FOUND": 404,
    "SELF_PURCHASE": 409,
    "ALREADY_COLLECTED": 409,
    "INSUFFICIENT_FUNDS": 402,
    "INVITE_NOT_FOUND": 404,
    "INVITE_EXPIRED": 410,
    "INVITE_REVOKED": 410,
    "INVITE_EXHAUSTED": 409,
    "ALREADY_USED": 409,
}


class Purchase(BaseModel):
    reward_id: str
    cost: int
    balance_before: int
    balance_after: int
    collected_at: datetime


class Code(BaseModel):
    code: str


class Redeemed(BaseModel):
    invite_id: str
    code: str
    redeemed_at: datetime
    remaining: int


@asynccontextmanager
async def lifespan(app: FastAPI) -> AsyncIterator[None]:
    async with asyncpg.create_pool(server_settings={"role": "tallystick_app"}) as pool:
        app.state.pool = pool
        yield


app = FastAPI(lifespan=lifespan)
bearer = HTTPBearer()


async def caller(credentials: Annotated[HTTPAuthorizationCredentials, Depends(bearer)]) -> str:
    try:
        return jwt.decode(credentials.credentials, SECRET, algorithms=["HS256"])["sub"]
    except jwt.PyJWTError:
        raise HTTPException(401) from None


Caller = Annotated[str, Depends(caller)]


@app.post("/api/rewards/{reward_id}/purchase")
async def purchase(reward_id: str, user_id: Caller, request: Request) -> Purchase:
    row = await request.app.state.pool.fetchrow("SELECT * FROM bench.purchase($1, $2)", user_id, reward_id)
    if row["refusal"] is not None:
        raise HTTPException(STATUS[row["refusal"]], row["refusal"])
    return Purchase(
        reward_id=reward_id,
        cost=row["cost"],
        balance_before=row["balance_before"],
        balance_after=row["balance_after"],
        collected_at=row["collected_at"],
    )


@app.post("/api/invites/redeem")
async def redeem(typed: Code, user_id: Caller, request: Request) -> Redeemed:
    row = await request.app.state.pool.fetchrow("SELECT * FROM bench.redeem($1, $2)", user_id, typed.code)
    if row["refusal"] is not None:
        raise HTTPException(STATUS[row["refusal"]], row["refusal"])
    return Redeemed(
        invite_id=row["invite_id"], code=typed.code, redeemed_at=row["redeemed_at"], remaining=row["remaining"]
    )


def main() -> None:
    listener = socket.create_server(("127.0.0.1", 0), backlog=2048)
    print(f"listens on http://127.0.0.1:{listener.getsockname()[1]}", flush=True)
    config = uvicorn.Config(app, loop="uvloop", http="httptools", access_log=False, log_level="warning")
    uvicorn.Server(config).run(sockets=[listener])


if __name__ == "__main__":
    main()
