# One line a second. Nothing here knows of hubs that come and go.
second=0
while [ "$second" -lt 60 ]; do
    second=$((second + 1))
    echo "second $second"
    sleep 1
done
