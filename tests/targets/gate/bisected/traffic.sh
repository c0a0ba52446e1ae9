#!/bin/sh
exec curl -sS -o /dev/null "http://127.0.0.1:$PORT/orders/[1-2000]"
