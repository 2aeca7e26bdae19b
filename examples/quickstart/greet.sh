# The event's data is on stdin, its attributes are in the environment. What goes to stdout is the result and the log;
# what goes to stderr is log only.
name=$(cat)
echo "greeting $name for request $TRIPLINE_REQUEST_ID" >&2
echo "Hello, $name!"
