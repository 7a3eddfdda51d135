// An echo server as Go's documentation has it: server_go PORT [buffer]
//
// io.Copy between sockets is splice(2) through a pipe, so it never sees the bytes, but needs three
// descriptors for a connection. With a second argument it reads and writes a buffer instead.
package main

import (
	"io"
	"log"
	"net"
	"os"
)

func echo(connection net.Conn) {
	defer connection.Close()
	if len(os.Args) < 3 {
		io.Copy(connection, connection)
		return
	}
	buffer := make([]byte, 65536)
	for {
		n, err := connection.Read(buffer)
		if err != nil {
			return
		}
		if _, err = connection.Write(buffer[:n]); err != nil {
			return
		}
	}
}

func main() {
	listener, err := net.Listen("tcp", "127.0.0.1:"+os.Args[1])
	if err != nil {
		log.Fatal(err)
	}
	for {
		connection, err := listener.Accept()
		if err != nil {
			log.Fatal(err)
		}
		go echo(connection)
	}
}
